def load_dataset(path, name=None, data_dir=None, data_files=None, split=None, revision=None, streaming=False, num_proc=None, **config_kwargs): pass
def load_from_disk(dataset_path, keep_in_memory=None): pass
