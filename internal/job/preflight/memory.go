package preflight

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/weights"
)

// An Estimate is what training takes of one GPU, in bytes.
//
// Weights, gradients and the states of the optimizer are counted by parameter,
// as in Rajbhandari et al., ZeRO, section 3.1 (arXiv:1910.02054): with AdamW 16
// bytes for each that is trained in mixed precision. Activations are those of
// Korthikanti et al., section 4 (arXiv:2205.05198), with an attention that keeps
// no matrix: 34·s·b·h a layer in 16 bits, and with checkpointing 2·s·b·h a layer
// and one layer whole; and the logits, s·b·V, in 32 bits with their gradient.
type Estimate struct {
	Parameters  int64  `json:"parameters"`
	Trained     int64  `json:"trained"` // of them, or of the adapter
	Weights     int64  `json:"weights"`
	Gradients   int64  `json:"gradients"`
	Optimizer   int64  `json:"optimizer"`
	Activations int64  `json:"activations"` // with sequences as long as they may be
	Have        int64  `json:"have"`        // 0 if it is not known
	How         string `json:"how"`
}

// Least is what is needed for certain.
func (e Estimate) Least() int64 { return e.Weights + e.Gradients + e.Optimizer }

// Likely is what is needed with full sequences, CUDA's own part included.
func (e Estimate) Likely() int64 { return e.Least() + e.Activations + cudaBytes }

// cudaBytes is the context of CUDA and its libraries.
const cudaBytes = 800 << 20

func (e Estimate) String() string {
	text := fmt.Sprintf("about %s a GPU (weights %s, gradients %s, optimizer %s, activations up to %s) for %s; %s", gib(e.Likely()), gib(e.Weights), gib(e.Gradients), gib(e.Optimizer), gib(e.Activations), count(e.Parameters), e.How)
	if e.Have > 0 {
		text += "; there are " + gib(e.Have)
	}
	return text
}

func gib(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }

func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f billion parameters", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f million parameters", float64(n)/1e6)
	}
	return fmt.Sprintf("%d parameters", n)
}

// memory estimates what training the model takes, and compares.
func (c *check) memory(ctx context.Context, repo hub.RepoID, u modelUse, info hub.Info) {
	sum, err := c.Hub.Weights(ctx, repo, u.revision)
	if err != nil || sum.Total == 0 {
		c.note(CodeUnchecked, "memory was not estimated: the weights of %s are not in a format that says their size", u.name)
		return
	}
	shape := c.shapeOf(ctx, repo, info.SHA)
	e := c.train.estimate(sum, shape, max(c.Offer.GPUs, 1))
	e.Have = c.Offer.GPUMemoryMB << 20
	if c.Offer.GPUs == 0 {
		e.Have = c.Offer.MemoryMB << 20
	}
	c.mu.Lock()
	c.report.Memory = &e
	c.mu.Unlock()
	fix := "take a GPU with more memory, train an adapter (LoRA), or ask before you change what is trained"
	switch {
	case e.Have == 0 || c.train.config.has("deepspeed", "fsdp"): // they may keep it elsewhere
	case e.Least() > e.Have:
		c.fail(Finding{Code: CodeMemory, Line: u.line, Text: fmt.Sprintf("training %s takes at least %s, and %s has %s", u.name, gib(e.Least()), c.Offer.Flavor, gib(e.Have)), Fix: fix})
	case e.Likely() > e.Have:
		c.warn(Finding{
			Code: CodeMemory, Line: u.line, Text: fmt.Sprintf("training %s with full sequences takes about %s, and %s has %s", u.name, gib(e.Likely()), c.Offer.Flavor, gib(e.Have)),
			Fix: "halve per_device_train_batch_size and double gradient_accumulation_steps, turn gradient_checkpointing on, or take a larger GPU",
		})
	}
}

// A shape is what config.json says of a network; 0 is not known.
type shape struct {
	Hidden int64 `json:"hidden_size"`
	Layers int64 `json:"num_hidden_layers"`
	Vocab  int64 `json:"vocab_size"`
}

const maxConfig = 1 << 20

func (c *check) shapeOf(ctx context.Context, repo hub.RepoID, rev string) shape {
	var text bytes.Buffer
	if _, err := c.Hub.Download(ctx, repo, rev, "config.json", &limitedWriter{w: &text, left: maxConfig}); err != nil {
		return shape{}
	}
	var config struct {
		shape
		Text shape `json:"text_config"` // of models that also see
	}
	if json.Unmarshal(text.Bytes(), &config) != nil {
		return shape{}
	}
	if config.Hidden == 0 {
		return config.Text
	}
	return config.shape
}

// limitedWriter refuses what is more than it should be.
type limitedWriter struct {
	w    io.Writer
	left int
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, io.ErrShortWrite
	}
	l.left -= len(p)
	return l.w.Write(p)
}

// estimate counts bytes by what the configuration says. Where it does not say,
// it takes what needs less.
func (t *training) estimate(sum *weights.Summary, s shape, gpus int) Estimate {
	e := Estimate{Parameters: sum.Total, Trained: sum.Total}
	each, how := t.weightBytes(sum)
	if t.adapter {
		e.Trained = t.adapterSize(sum)
		how += ", adapter"
	}
	e.Weights = int64(each * float64(sum.Total))
	gradient := math.Max(each, 2)
	if t.adapter {
		e.Weights += e.Trained * 4
		gradient = 4
	}
	state, optim := t.optimizerBytes(gradient)
	e.Gradients = int64(gradient * float64(e.Trained))
	e.Optimizer = int64(state * float64(e.Trained))
	if t.way == byPreference && !t.adapter && t.hasReference() {
		e.Weights += int64(each * float64(sum.Total))
		how += ", reference model"
	}
	if t.sharded() && gpus > 1 {
		e.Weights, e.Gradients, e.Optimizer = e.Weights/int64(gpus), e.Gradients/int64(gpus), e.Optimizer/int64(gpus)
		how += fmt.Sprintf(", over %d GPUs", gpus)
	}
	e.Activations = t.activations(s)
	e.How = how + ", " + optim
	return e
}

// weightBytes is how much a parameter takes as it is loaded.
func (t *training) weightBytes(sum *weights.Summary) (float64, string) {
	stored := 4.0
	for dtype, n := range sum.Parameters {
		if (dtype == "BF16" || dtype == "F16") && n*2 > sum.Total {
			stored = 2
		}
	}
	if t.load == nil {
		return stored, "as stored"
	}
	quant, _ := t.quantized()
	v := t.load.arg(-1, "dtype", "torch_dtype")
	name := v.text() + v.Name
	switch {
	case quant == 4:
		return 0.55, "in 4 bits" // NF4 with a scale for each block of 64
	case quant == 8:
		return 1.05, "in 8 bits"
	case strings.HasSuffix(name, "float16"): // also bfloat16
		return 2, "in 16 bits"
	case strings.HasSuffix(name, "float32"):
		return 4, "in 32 bits"
	}
	return stored, "as stored"
}

// quantized is in how many bits the weights are kept, 0 if they are whole.
func (t *training) quantized() (bits int, sure bool) {
	if t.load == nil {
		return 0, false
	}
	if t.load.Kw["load_in_4bit"].isTrue() {
		return 4, true
	}
	if t.load.Kw["load_in_8bit"].isTrue() {
		return 8, true
	}
	q := t.load.Kw["quantization_config"]
	if !q.given() || q.isFalse() {
		return 0, !t.load.Star
	}
	return 4, false // of a configuration that is looked at by nobody, the least
}

// adapterSize counts the parameters of a LoRA: r rows and columns beside each
// matrix that it adapts.
func (t *training) adapterSize(sum *weights.Summary) int64 {
	if t.lora == nil {
		return sum.Total / 1000
	}
	r := 8.0
	if n, ok := t.lora.arg(-1, "r").number(); ok {
		r = n
	} else if n, ok := t.lora.arg(0).number(); ok {
		r = n
	}
	targets := t.lora.Kw["target_modules"]
	var total int64
	for _, tensor := range sum.Tensors {
		if len(tensor.Shape) == 2 && adapted(tensor.Name, targets) {
			total += int64(r) * (tensor.Shape[0] + tensor.Shape[1])
		}
	}
	return total
}

// adapted reports whether a LoRA of these targets is put beside a tensor.
func adapted(name string, targets value) bool {
	name = strings.TrimSuffix(name, ".weight")
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch all, _ := targets.V.([]any); {
	case targets.text() == "all-linear":
		return strings.Contains(name, "layers") || strings.Contains(name, ".h.") || strings.Contains(name, "layer.")
	case len(all) > 0:
		for _, one := range texts(all) {
			if last == one || strings.HasSuffix(name, "."+one) {
				return true
			}
		}
		return false
	}
	return last == "q_proj" || last == "v_proj" || last == "query_key_value" || last == "c_attn" || last == "query" || last == "value"
}

// optimizerBytes is the state of the optimizer for a trained parameter. Adam
// keeps two numbers as wide as the parameter; in 8 bits two bytes.
func (t *training) optimizerBytes(width float64) (float64, string) {
	v, known := t.setting("optim")
	name := strings.ToLower(v.text() + v.Name)
	switch {
	case v.given() && !known && v.Name == "":
		return 0, "unknown optimizer"
	case strings.Contains(name, "paged"):
		return 0, name // it moves out of the way
	case strings.Contains(name, "8bit"):
		return 2, name
	case strings.Contains(name, "4bit"):
		return 1, name
	case strings.Contains(name, "adafactor"), strings.Contains(name, "galore"), strings.Contains(name, "apollo"), strings.Contains(name, "sgd"):
		return 0, name
	case strings.Contains(name, "lion"), strings.Contains(name, "rmsprop"), strings.Contains(name, "adagrad"):
		return width, name
	case t.trainer.arg(-1, "optimizers").given() || t.config == nil:
		return 0, "unknown optimizer"
	}
	return 2 * width, "AdamW"
}

func (t *training) hasReference() bool {
	return strings.HasPrefix(t.trainer.last(), "DPO") && !t.config.has("precompute_ref_log_probs", "reference_free")
}

func (k *call) has(names ...string) bool {
	for _, name := range names {
		if k != nil && k.Kw[name].given() && !k.Kw[name].isFalse() {
			return true
		}
	}
	return false
}

// sharded reports whether the weights may be spread over the GPUs.
func (t *training) sharded() bool {
	return t.config == nil || t.config.Star || t.config.has("deepspeed", "fsdp", "fsdp_config") || t.load != nil && t.load.has("device_map") || t.config.has("use_liger_kernel", "accelerator_config", "parallelism_config")
}

// activations is what is kept between the passes, 0 if the shape is unknown.
func (t *training) activations(s shape) int64 {
	if s.Hidden == 0 || s.Layers == 0 {
		return 0
	}
	batch := t.number("per_device_train_batch_size", 8)
	if t.way == byPreference {
		batch *= 2 // chosen and rejected
	}
	length := t.number("max_length", t.number("max_seq_length", 512))
	if v, _ := t.setting("max_length"); t.ofTRL() && !v.given() {
		length = 1024
	}
	if t.way == byReward {
		length = t.number("max_completion_length", 256)
	}
	tokens := batch * length
	layer := 34 * tokens * float64(s.Hidden)
	total := layer * float64(s.Layers)
	checkpointing, known := t.setting("gradient_checkpointing")
	if checkpointing.isTrue() || !checkpointing.given() && t.ofTRL() || !known {
		total = 2*tokens*float64(s.Hidden)*float64(s.Layers) + layer
	}
	logits := 8 * tokens * float64(s.Vocab)
	if strings.Contains(t.class, "Classification") || t.way == rewardModel {
		logits = 0
	}
	if t.config.has("use_liger_kernel", "use_liger_loss") {
		logits = 0
	}
	return int64(total + logits)
}
