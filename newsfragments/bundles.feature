`hRunJob --array … --bundle` puts the outputs of all tasks into one indexed file; `tm output 17_[3-5]` reads it, also while the array runs.
