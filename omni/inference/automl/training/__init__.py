"""What happens in the training process: folds, search, ensemble, calibration, card. Heavy: never imported elsewhere."""
