// Package weights reads what the files of a model's weights say about
// themselves: how many parameters, of which types, and for GGUF the
// architecture, the context length and the tokenizer.
//
// Its one rule: only the header is read, and a header that lies costs no more
// than a fixed amount of memory and of reading. The caller owns the file.
package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
)

// ErrMalformed marks a file that is not what its name says.
var ErrMalformed = errors.New("not a file of weights that can be read")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// A Tensor is an array of parameters.
type Tensor struct {
	Name  string
	DType string // F32, BF16, I64 … in safetensors, Q4_K … in GGUF
	Shape []int64
}

// count is how many parameters a tensor has.
func (t Tensor) count() (int64, error) {
	n := int64(1)
	for _, d := range t.Shape {
		if d < 0 || d > 0 && n > math.MaxInt64/d {
			return 0, malformed("tensor %.80q has an impossible shape %v", t.Name, t.Shape[:min(len(t.Shape), 8)])
		}
		n *= d
	}
	return n, nil
}

// A Summary is what is known of a model's weights.
type Summary struct {
	Format     string           // safetensors or gguf
	Parameters map[string]int64 // how many, by their type
	Total      int64
	Tensors    []Tensor
	Metadata   map[string]string // of safetensors, as the writer left it
	GGUF       *GGUF             // of GGUF
	Files      int
}

// add counts a tensor.
func (s *Summary) add(t Tensor) error {
	n, err := t.count()
	if err != nil {
		return err
	}
	if s.Total > math.MaxInt64-n {
		return malformed("more parameters than can be counted")
	}
	if s.Parameters == nil {
		s.Parameters = map[string]int64{}
	}
	s.Parameters[t.DType] += n
	s.Total += n
	s.Tensors = append(s.Tensors, t)
	return nil
}

// merge adds the tensors of another file of the same model.
func (s *Summary) merge(part *Summary) error {
	for _, t := range part.Tensors {
		if err := s.add(t); err != nil {
			return err
		}
	}
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	maps.Copy(s.Metadata, part.Metadata)
	s.Format, s.Files = part.Format, s.Files+1
	return nil
}

// A Folder opens the files of a repository at one commit.
type Folder interface {
	// Open returns a file's bytes and size. Close it if it is an io.Closer.
	Open(ctx context.Context, path string) (io.ReaderAt, int64, error)
}

// Names of the files that weights are looked for in.
const (
	singleFile = "model.safetensors"
	indexFile  = "model.safetensors.index.json"
)

// ErrNone says that a repository has no weights in a format that can be read.
var ErrNone = errors.New("no weights in safetensors or GGUF")

const (
	maxFiles    = 512
	concurrent  = 8
	maxIndex    = 32 << 20
	maxFilesErr = "more than 512 files of weights"
)

// Read finds a model's weights among the paths of a repository and reads their
// headers: model.safetensors, else the files of its index, else all the
// safetensors that lie with it or the first GGUF file.
func Read(ctx context.Context, dir Folder, paths []string) (*Summary, error) {
	files, err := choose(ctx, dir, paths)
	if err != nil {
		return nil, err
	}
	parts := make([]*Summary, len(files))
	errs := make([]error, len(files))
	slots := make(chan struct{}, concurrent)
	var wg sync.WaitGroup
	for i, file := range files {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			parts[i], errs[i] = readFile(ctx, dir, file)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		parts[0].Files = 1
		return parts[0], nil
	}
	sum := &Summary{}
	for _, part := range parts {
		if err := sum.merge(part); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

func choose(ctx context.Context, dir Folder, paths []string) ([]string, error) {
	if slices.Contains(paths, singleFile) {
		return []string{singleFile}, nil
	}
	if slices.Contains(paths, indexFile) {
		return shards(ctx, dir, paths)
	}
	var tensors, ggufs []string
	for _, p := range paths {
		switch ext := strings.ToLower(path.Ext(p)); {
		case ext == ".safetensors" && path.Dir(p) == ".":
			tensors = append(tensors, p)
		case ext == ".gguf":
			ggufs = append(ggufs, p)
		}
	}
	slices.Sort(ggufs)
	switch {
	case len(tensors) > maxFiles:
		return nil, malformed(maxFilesErr)
	case len(tensors) > 0:
		return tensors, nil
	case len(ggufs) > 0: // usually the same model in several sizes
		return split(ggufs), nil
	}
	return nil, ErrNone
}

// split returns the first file, with its siblings if it is the first of
// several: name-00001-of-00003.gguf.
func split(ggufs []string) []string {
	stem, of, ok := strings.Cut(ggufs[0], "-00001-of-")
	if !ok {
		return ggufs[:1]
	}
	var parts []string
	for _, p := range ggufs {
		if strings.HasPrefix(p, stem+"-") && strings.HasSuffix(p, "-of-"+of) && len(parts) < maxFiles {
			parts = append(parts, p)
		}
	}
	return parts
}

func readFile(ctx context.Context, dir Folder, name string) (*Summary, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, size, err := dir.Open(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	read := Safetensors
	if strings.EqualFold(path.Ext(name), ".gguf") {
		read = ReadGGUF
	}
	s, err := read(r, size)
	if err != nil {
		return nil, fmt.Errorf("read the header of %s: %w", name, err)
	}
	return s, nil
}
