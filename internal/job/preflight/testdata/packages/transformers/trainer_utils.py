def get_last_checkpoint(folder): pass
