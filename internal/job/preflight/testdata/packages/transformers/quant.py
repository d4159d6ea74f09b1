class BitsAndBytesConfig:
    def __init__(self, load_in_8bit=False, load_in_4bit=False, bnb_4bit_compute_dtype=None, bnb_4bit_quant_type=None, bnb_4bit_use_double_quant=False, **kwargs): pass
