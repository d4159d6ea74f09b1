package preflight

import (
	"slices"
	"strings"
)

// A way of training, by what its data must be.
type way string

const (
	byExample    way = "SFT"
	byPreference way = "DPO"
	byLabel      way = "KTO"
	byReward     way = "GRPO"
	rewardModel  way = "reward model"
	plain        way = "Trainer"
	otherWay     way = "other"
)

var trainers = map[string]way{
	"SFTTrainer": byExample, "UnslothTrainer": byExample, "DPOTrainer": byPreference, "ORPOTrainer": byPreference, "CPOTrainer": byPreference,
	"KTOTrainer": byLabel, "GRPOTrainer": byReward, "RLOOTrainer": byReward, "OnlineDPOTrainer": byReward, "RewardTrainer": rewardModel,
	"Trainer": plain, "Seq2SeqTrainer": plain, "SentenceTransformerTrainer": otherWay, "PPOTrainer": otherWay, "CrossEncoderTrainer": otherWay, "PRMTrainer": otherWay,
	"GKDTrainer": otherWay,
}

// training is the training that a script does, as far as it can be seen.
type training struct {
	way     way
	trainer call
	config  *call // its arguments; nil if they cannot be seen
	lora    *call // its LoraConfig or get_peft_model; nil if there is none
	adapter bool  // it trains an adapter
	load    *call // of the model by from_pretrained; nil if the trainer does it
	model   string
	class   string // of the model: AutoModelForCausalLM
}

// training finds the first trainer, nil if there is none that is known.
func (c *check) training() *training {
	f := c.facts
	for _, k := range f.Calls {
		way, known := trainers[k.last()]
		if !known || k.Recv != nil || !strings.Contains(k.Name, ".") {
			continue
		}
		t := &training{way: way, trainer: k}
		if config, ok := f.made(t.configValue()); ok {
			t.config = &config
		}
		t.findModel(f)
		t.findAdapter(f)
		return t
	}
	return nil
}

func (t *training) configValue() value {
	place := 1
	switch t.way {
	case byPreference, byReward:
		place = -1 // what is second differs
	}
	return t.trainer.arg(place, "args")
}

func (t *training) findModel(f *facts) {
	v := t.trainer.arg(0, "model")
	for range 5 {
		if v.Kind == "const" {
			t.model = v.text()
			return
		}
		made, ok := f.made(v)
		if !ok {
			break
		}
		if made.last() == "from_pretrained" {
			t.loaded(made)
			return
		}
		v = made.arg(0, "model")
	}
	var loads []call
	for _, k := range f.Calls {
		if k.last() == "from_pretrained" && isModelClass(k.Name) {
			loads = append(loads, k)
		}
	}
	if len(loads) == 1 {
		t.loaded(loads[0])
	}
}

func (t *training) loaded(k call) {
	t.load = &k
	t.model = k.arg(0, "pretrained_model_name_or_path", "model_name").text()
	t.class = strings.TrimSuffix(k.Name, ".from_pretrained")
	t.class = t.class[strings.LastIndexByte(t.class, '.')+1:]
}

// isModelClass reports whether from_pretrained of the name loads weights.
func isModelClass(name string) bool {
	class := strings.TrimSuffix(name, ".from_pretrained")
	class = class[strings.LastIndexByte(class, '.')+1:]
	for _, end := range []string{"Tokenizer", "TokenizerFast", "Processor", "Config", "FeatureExtractor", "Scheduler"} {
		if strings.HasSuffix(class, end) {
			return false
		}
	}
	return strings.Contains(class, "Model") || strings.Contains(class, "For") || strings.HasSuffix(class, "Pipeline")
}

func (t *training) findAdapter(f *facts) {
	v := t.trainer.arg(-1, "peft_config")
	t.adapter = v.given() && !v.isFalse()
	for _, k := range f.named("LoraConfig", "get_peft_model") {
		if len(k.Kw) > 0 {
			t.lora = &k
		}
		t.adapter = true
	}
	if made, ok := f.made(v); ok && made.last() == "LoraConfig" {
		t.lora = &made
	}
}

// setting is an argument of the trainer's configuration. It is known if it is
// given, or if for certain it is not.
func (t *training) setting(name string) (v value, known bool) {
	if t == nil || t.config == nil {
		return value{}, false
	}
	if v, ok := t.config.Kw[name]; ok {
		return v, v.Kind == "const" || v.Kind == "list" && v.V != nil
	}
	return value{}, !t.config.Star
}

// number is a setting, or what holds without it.
func (t *training) number(name string, otherwise float64) float64 {
	v, _ := t.setting(name)
	if n, ok := v.number(); ok {
		return n
	}
	return otherwise
}

// ofTRL reports whether the configuration is one of TRL, whose defaults differ.
func (t *training) ofTRL() bool { return t.config != nil && strings.HasPrefix(t.config.Name, "trl.") }

// dataset is the value of train_dataset or eval_dataset.
func (t *training) dataset(name string) value {
	place := map[string]int{"train_dataset": 3, "eval_dataset": 4}[name]
	if t.way != plain && t.way != byExample {
		place = -1
	}
	return t.trainer.arg(place, name)
}

// trains reports whether the script trains something for which half an hour is
// no sensible limit: not a forest, but a network.
func (c *check) trains() bool {
	if c.train != nil && len(c.facts.named("train")) > 0 {
		return true
	}
	deep := c.facts.imports("torch", "tensorflow", "keras", "jax", "lightning", "pytorch_lightning", "flax")
	return deep && slices.ContainsFunc(c.facts.Calls, func(k call) bool {
		last := k.last()
		return last == "backward" || (last == "fit" || last == "train_on_batch") && c.facts.imports("tensorflow", "keras", "lightning", "pytorch_lightning") || last == "value_and_grad"
	})
}
