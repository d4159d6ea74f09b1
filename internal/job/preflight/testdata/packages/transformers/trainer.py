class Trainer:
    def __init__(self, model=None, args=None, data_collator=None, train_dataset=None, eval_dataset=None, processing_class=None, compute_loss_func=None, compute_metrics=None, callbacks=None, optimizers=(None, None)):
        pass
class EarlyStoppingCallback:
    def __init__(self, early_stopping_patience=1): pass
