def pipeline(task=None, model=None, **kwargs): pass
