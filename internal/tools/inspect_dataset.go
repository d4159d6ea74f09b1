package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"ml-intern/internal/dataset"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
)

// InspectDataset profiles a tabular file.
func InspectDataset(sb disk) tool.Tool {
	type input struct {
		Path   string `json:"path" jsonschema:"CSV, TSV, JSONL, JSON or Parquet, maybe gzipped"`
		Target string `json:"target,omitempty"`
	}
	s := spec("inspect_dataset", tool.Reads)
	s.Impact = reading(sb, func(in input) string { return in.Path })
	return tool.New(s, func(ctx context.Context, in input, _ tool.Call) (tool.Output, error) {
		abs, _ := sb.Resolve(in.Path)
		for _, path := range []string{abs, filepath.Dir(abs)} { // what is wrong with a path names others beside it
			if err := mayLook(sb, path); err != nil {
				return tool.Output{}, fmt.Errorf("inspect %s: %w", in.Path, err)
			}
		}
		profile, err := dataset.Inspect(ctx, abs, dataset.Options{Target: in.Target, Open: sb.Open, AvailableMemory: dataset.AvailableMemory()})
		if e, ok := errors.AsType[*dataset.Error](err); ok {
			text := fmt.Sprintf("%s: %s; %s", e.Code, e.Message, e.Hint)
			return tool.Output{Text: text, IsError: true, Summary: e.Message}, nil
		}
		if err != nil {
			return tool.Output{}, fmt.Errorf("inspect %s: %w", in.Path, err)
		}
		return object(profile, fmt.Sprintf("%s: %d rows, %d columns", filepath.Base(abs), profile.Rows, len(profile.Columns)))
	})
}

// mayLook says why not even names at a path may be shown, nil if they may.
func mayLook(sb disk, path string) error {
	f, err := sb.Open(path)
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, sandbox.ErrPrivate) {
		return err
	}
	return nil
}
