class HfArgumentParser:
    def __init__(self, dataclass_types=None, **kwargs): pass
