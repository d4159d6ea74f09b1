package hubserver

import (
	"context"
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
	return facts, s.addConfig(commit, facts)
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
