package hubserver

import (
	endian "encoding/binary"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

const (
	maxConfig        = 1 << 20
	maxTensorsHeader = 32 << 20
	maxShards        = 512
)

// addConfig describes a model by its configuration, as far as it can be read.
func (s *Server) addConfig(commit gitstore.Commit, v map[string]any) error {
	var in struct {
		Architectures []string       `json:"architectures,omitempty"`
		Type          string         `json:"model_type,omitempty"`
		Quantization  map[string]any `json:"quantization_config,omitempty"`
		Tokenizer     map[string]any `json:"tokenizer_config,omitempty"`
	}
	found, err := s.readJSON(commit, "config.json", &in)
	if err != nil || !found {
		return err
	}
	in.Tokenizer = nil
	var tokenizer map[string]any
	if found, err = s.readJSON(commit, "tokenizer_config.json", &tokenizer); err != nil {
		return err
	}
	if found {
		in.Tokenizer = map[string]any{}
		for _, key := range []string{"bos_token", "eos_token", "pad_token", "unk_token", "chat_template"} {
			if value, has := tokenizer[key]; has {
				in.Tokenizer[key] = value
			}
		}
	}
	v["config"] = in
	if len(in.Architectures) > 0 {
		if auto, task := autoModel(in.Architectures[0]); auto != "" {
			v["transformersInfo"] = map[string]any{"auto_model": auto, "pipeline_tag": task, "processor": "AutoTokenizer"}
		}
	}
	return nil
}

// autoModel is the class of transformers that loads an architecture, and what
// it is for.
func autoModel(architecture string) (class, task string) {
	for _, known := range []struct{ suffix, class, task string }{
		{"ForCausalLM", "AutoModelForCausalLM", "text-generation"},
		{"LMHeadModel", "AutoModelForCausalLM", "text-generation"},
		{"ForConditionalGeneration", "AutoModelForSeq2SeqLM", "text2text-generation"},
		{"ForMaskedLM", "AutoModelForMaskedLM", "fill-mask"},
		{"ForSequenceClassification", "AutoModelForSequenceClassification", "text-classification"},
		{"ForTokenClassification", "AutoModelForTokenClassification", "token-classification"},
		{"ForQuestionAnswering", "AutoModelForQuestionAnswering", "question-answering"},
		{"ForImageClassification", "AutoModelForImageClassification", "image-classification"},
		{"Model", "AutoModel", "feature-extraction"},
	} {
		if strings.HasSuffix(architecture, known.suffix) {
			return known.class, known.task
		}
	}
	return "", ""
}

// readJSON reads a small JSON file of a commit. One that is not there, too
// large or not valid was not found.
func (s *Server) readJSON(commit gitstore.Commit, path string, v any) (bool, error) {
	found, err := s.store.Find(commit, []string{path})
	if err != nil || found[path].OID == "" || found[path].Dir {
		return false, err
	}
	f, err := s.store.File(found[path].OID)
	if err != nil || f.Size > maxConfig || f.Large != nil {
		return false, err
	}
	data, err := s.store.Blob(f.OID)
	return err == nil && json.Unmarshal(data, v) == nil, err
}

var shardName = regexp.MustCompile(`^model-\d+-of-\d+\.safetensors$`)

// weights counts the parameters of a model by their types, nil if it has no
// weights that can be read.
func (s *Server) weights(commit gitstore.Commit) (map[string]any, error) {
	var whole, shards, others []gitstore.Entry
	for e, err := range s.store.Entries(commit, "", false) {
		if err != nil {
			return nil, err
		}
		switch {
		case e.Dir || !strings.HasSuffix(e.Path, ".safetensors"):
		case e.Path == "model.safetensors":
			whole = append(whole, e)
		case shardName.MatchString(e.Path):
			shards = append(shards, e)
		default:
			others = append(others, e)
		}
	}
	files := whole
	if len(files) == 0 {
		files = shards
	}
	if len(files) == 0 && len(others) == 1 {
		files = others
	}
	if len(files) == 0 || len(files) > maxShards {
		return nil, nil
	}
	count, total := map[string]int64{}, int64(0)
	for _, e := range files {
		ok, err := s.countTensors(e, count)
		if err != nil || !ok {
			return nil, err
		}
	}
	for _, n := range count {
		total += n
	}
	return map[string]any{"parameters": count, "total": total}, nil
}

// countTensors adds the parameters of a file to count. It reports whether the
// file is what its name says.
func (s *Server) countTensors(e gitstore.Entry, count map[string]int64) (bool, error) {
	f, err := s.store.File(e.OID)
	if err != nil {
		return false, err
	}
	var body io.Reader
	if f.Large != nil {
		file, err := s.store.OpenLarge(f.Large.OID)
		if err != nil {
			return false, err
		}
		defer file.Close()
		body = file
	} else {
		data, err := s.store.Blob(f.OID)
		if err != nil {
			return false, err
		}
		body = strings.NewReader(string(data))
	}
	return countHeader(body, f.Size, count), nil
}

// countHeader reads the header of a safetensors file of a size.
func countHeader(body io.Reader, size int64, count map[string]int64) bool {
	var head [8]byte
	if _, err := io.ReadFull(body, head[:]); err != nil {
		return false
	}
	n := endian.LittleEndian.Uint64(head[:])
	if n > maxTensorsHeader || int64(n) > size-8 {
		return false
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(body, text); err != nil {
		return false
	}
	var tensors map[string]json.RawMessage
	if json.Unmarshal(text, &tensors) != nil {
		return false
	}
	for name, raw := range tensors {
		var tensor struct {
			Type  string  `json:"dtype"`
			Shape []int64 `json:"shape"`
		}
		if name == "__metadata__" {
			continue
		}
		if json.Unmarshal(raw, &tensor) != nil || tensor.Type == "" {
			return false
		}
		params := int64(1)
		for _, d := range tensor.Shape {
			if d < 0 || d > 0 && params > math.MaxInt64/d {
				return false
			}
			params *= d
		}
		if params > math.MaxInt64-count[tensor.Type] {
			return false
		}
		count[tensor.Type] += params
	}
	return true
}
