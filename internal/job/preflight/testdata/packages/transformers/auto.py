class _Base:
    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        pass
class AutoModelForCausalLM(_Base): pass
class AutoModelForSequenceClassification(_Base): pass
class AutoTokenizer(_Base): pass
class AutoModelForTokenClassification(_Base): pass
