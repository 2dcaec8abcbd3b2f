"""STC, the spatio-temporal consensus: model, context of a window, rigid motion, calibration."""
