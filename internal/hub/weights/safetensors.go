package weights

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

const (
	maxHeader  = 64 << 20 // the format allows 100 MB; a model of 100,000 tensors takes 15
	maxTensors = 1 << 20
	maxDims    = 64
	maxNotes   = 1000 // entries of metadata that are kept
)

// Safetensors reads the header of a safetensors file.
func Safetensors(r io.ReaderAt, size int64) (*Summary, error) {
	var head [8]byte
	if size < 8 {
		return nil, malformed("%d bytes are too few", size)
	}
	if err := readFull(r, head[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:])
	switch {
	case n > uint64(size-8):
		return nil, malformed("the header should have %d bytes, the file has %d", n, size)
	case n > maxHeader:
		return nil, malformed("the header of %d bytes is longer than %d", n, maxHeader)
	}
	text, err := io.ReadAll(io.NewSectionReader(r, 8, int64(n))) // grows with what comes, not with what is said
	if err != nil {
		return nil, err
	}
	if uint64(len(text)) != n {
		return nil, malformed("the header is cut off")
	}
	s := &Summary{Format: "safetensors", Parameters: map[string]int64{}, Files: 1}
	if err := s.readHeader(text, size-8-int64(n)); err != nil {
		return nil, err
	}
	return s, nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the file is cut off")
	}
	return err
}

// readHeader reads the tensors of a header whose data take so many bytes.
func (s *Summary) readHeader(text []byte, data int64) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return malformed("the header is no JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return malformed("the header is no JSON: %v", err)
		}
		if name == "__metadata__" {
			if err := dec.Decode(&s.Metadata); err != nil {
				return malformed("the metadata are no texts by name")
			}
			s.trim()
			continue
		}
		if err := s.readTensor(dec, name.(string), data); err != nil { //nolint:forcetypeassert // JSON has no other keys
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return malformed("the header is no JSON: %v", err)
	}
	return nil
}

func (s *Summary) trim() {
	for key := range s.Metadata {
		if len(s.Metadata) <= maxNotes {
			return
		}
		delete(s.Metadata, key)
	}
}

func (s *Summary) readTensor(dec *json.Decoder, name string, data int64) error {
	var v struct {
		DType   string  `json:"dtype"`
		Shape   []int64 `json:"shape"`
		Offsets []int64 `json:"data_offsets"`
	}
	if err := dec.Decode(&v); err != nil {
		return malformed("tensor %.80q is not described: %v", name, err)
	}
	switch {
	case len(s.Tensors) == maxTensors:
		return malformed("more than %d tensors", maxTensors)
	case v.DType == "" || len(v.DType) > 32 || len(v.Shape) > maxDims:
		return malformed("tensor %.80q has no proper type or shape", name)
	case len(v.Offsets) != 2 || v.Offsets[0] < 0 || v.Offsets[1] < v.Offsets[0] || v.Offsets[1] > data:
		return malformed("tensor %.80q lies outside the file", name)
	}
	t := Tensor{name, v.DType, v.Shape}
	n, err := t.count()
	if err != nil {
		return err
	}
	if bits := bitsOf(v.DType); bits > 0 && (n > (1<<62)/bits || (n*bits+7)/8 != v.Offsets[1]-v.Offsets[0]) {
		return malformed("tensor %.80q has %d bytes for %d of %s", name, v.Offsets[1]-v.Offsets[0], n, v.DType)
	}
	return s.add(t)
}

// bitsOf is how large an element is, 0 if the type is not known.
func bitsOf(dtype string) int64 {
	switch dtype {
	case "BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0":
		return 8
	case "U16", "I16", "F16", "BF16":
		return 16
	case "U32", "I32", "F32":
		return 32
	case "U64", "I64", "F64", "C64":
		return 64
	}
	return 0
}

// shards reads an index and returns the files that it names.
func shards(ctx context.Context, dir Folder, paths []string) ([]string, error) {
	r, size, err := dir.Open(ctx, indexFile)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", indexFile, err)
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	if size > maxIndex {
		return nil, malformed("%s has more than %d bytes", indexFile, maxIndex)
	}
	text, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", indexFile, err)
	}
	var index struct {
		Weights map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, malformed("%s is no JSON: %v", indexFile, err)
	}
	seen := map[string]bool{}
	var files []string
	for _, file := range index.Weights {
		if seen[file] {
			continue
		}
		seen[file] = true
		files = append(files, file)
		switch {
		case len(files) > maxFiles:
			return nil, malformed(maxFilesErr)
		case !slices.Contains(paths, file):
			return nil, malformed("%s names %.80q, which is not there", indexFile, file)
		case !strings.EqualFold(path.Ext(file), ".safetensors"):
			return nil, malformed("%s names %.80q, which is no safetensors file", indexFile, file)
		}
	}
	if len(files) == 0 {
		return nil, malformed("%s names no files", indexFile)
	}
	slices.Sort(files)
	return files, nil
}
