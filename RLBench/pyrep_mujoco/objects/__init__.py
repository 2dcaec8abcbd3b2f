"""Objects of a scene under PyRep's names: shapes, joints, dummies, sensors."""
