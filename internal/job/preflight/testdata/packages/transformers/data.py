class DataCollatorWithPadding:
    def __init__(self, tokenizer, padding=True): pass
class DataCollatorForLanguageModeling:
    def __init__(self, tokenizer, mlm=True): pass
class DataCollatorForTokenClassification:
    def __init__(self, tokenizer, padding=True): pass
