package hubserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"ml-intern/internal/hub/hubserver/gitstore"
	"ml-intern/internal/hub/weights"
)

// addFacts fills in what a model's files say of it: safetensors, gguf, config
// and transformersInfo, those of them that are wanted; all if expand is empty.
// What cannot be read says nothing.
func (s *Server) addFacts(ctx context.Context, v map[string]any, commit gitstore.Commit, expand []string) error {
	wanted := func(field string) bool { return len(expand) == 0 || slices.Contains(expand, field) }
	if !slices.ContainsFunc([]string{"safetensors", "gguf", "config", "transformersInfo"}, wanted) {
		return nil
	}
	facts, err := s.facts.get(commit.ID, func() (map[string]any, error) { return s.readFacts(ctx, commit) })
	if err != nil {
		return err
	}
	for field, value := range facts {
		if v[field] == nil {
			v[field] = value
		}
	}
	return nil
}

func (s *Server) readFacts(ctx context.Context, commit gitstore.Commit) (map[string]any, error) {
	facts := map[string]any{}
	var paths []string
	for e, err := range s.store.Entries(commit, "", true) {
		if err != nil {
			return nil, err
		}
		name := strings.ToLower(e.Path)
		if ext := path.Ext(name); !e.Dir && (ext == ".safetensors" || ext == ".gguf" || strings.HasSuffix(name, ".safetensors.index.json")) {
			paths = append(paths, e.Path)
		}
	}
	sum, err := weights.Read(ctx, folder{s, commit}, paths)
	switch {
	case errors.Is(err, weights.ErrNone), errors.Is(err, weights.ErrMalformed):
	case err != nil:
		return nil, err
	case sum.GGUF != nil:
		facts["gguf"] = ggufFacts(sum)
	default:
		facts["safetensors"] = map[string]any{"parameters": sum.Parameters, "total": sum.Total}
	}
	return facts, s.addConfig(facts, commit)
}

func ggufFacts(sum *weights.Summary) map[string]any {
	g := sum.GGUF
	out := map[string]any{"total": sum.Total, "architecture": g.Architecture}
	if g.ContextLength > 0 {
		out["context_length"] = g.ContextLength
	}
	if g.ChatTemplate != "" {
		out["chat_template"] = g.ChatTemplate
	}
	return out
}

// folder lets weights read the files of a commit.
type folder struct {
	server *Server
	commit gitstore.Commit
}

func (d folder) Open(_ context.Context, name string) (io.ReaderAt, int64, error) {
	e, err := d.server.store.Entry(d.commit, name)
	if err != nil {
		return nil, 0, err
	}
	f, err := d.server.store.File(e.OID)
	if err != nil {
		return nil, 0, err
	}
	content, err := d.server.openFile(f)
	return content, f.Size, err
}

const maxConfig = 1 << 20

// addConfig reads config.json.
func (s *Server) addConfig(facts map[string]any, commit gitstore.Commit) error {
	e, err := s.store.Entry(commit, "config.json")
	if errors.Is(err, gitstore.ErrNoEntry) || err == nil && e.Dir {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := s.store.File(e.OID)
	if err != nil || f.Large != nil || f.Size > maxConfig {
		return err
	}
	text, err := s.store.Blob(f.OID)
	if err != nil {
		return err
	}
	var config struct {
		Architectures []string        `json:"architectures"`
		ModelType     string          `json:"model_type"`
		Quantization  json.RawMessage `json:"quantization_config"`
	}
	if json.Unmarshal(text, &config) != nil || config.ModelType == "" && len(config.Architectures) == 0 {
		return nil
	}
	out := map[string]any{}
	if len(config.Architectures) > 0 {
		out["architectures"] = config.Architectures
	}
	if config.ModelType != "" {
		out["model_type"] = config.ModelType
	}
	if len(config.Quantization) > 0 {
		out["quantization_config"] = config.Quantization
	}
	facts["config"] = out
	if len(config.Architectures) > 0 {
		facts["transformersInfo"] = map[string]any{"auto_model": autoModel(config.Architectures[0]), "processor": "AutoTokenizer"}
	}
	return nil
}

// autoModel is the class of transformers that loads an architecture.
func autoModel(architecture string) string {
	for _, head := range []string{
		"ForCausalLM", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM",
		"ForMultipleChoice", "ForImageClassification", "ForObjectDetection", "ForAudioClassification", "ForCTC",
	} {
		if strings.HasSuffix(architecture, head) {
			return "AutoModel" + head
		}
	}
	if strings.HasSuffix(architecture, "ForConditionalGeneration") {
		return "AutoModelForSeq2SeqLM"
	}
	return "AutoModel"
}
