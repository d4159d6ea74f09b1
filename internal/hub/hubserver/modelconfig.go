package hubserver

import (
	"encoding/json"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
)

const maxConfig = 1 << 20

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
