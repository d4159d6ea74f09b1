package weights_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"ml-intern/internal/hub/weights"
)

func tensors(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

const twoTensors = `{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[24,30]}}  `

func TestSafetensors(t *testing.T) {
	t.Parallel()
	file := tensors(twoTensors, 30)
	s, err := weights.Safetensors(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	want := &weights.Summary{
		Format: "safetensors", Parameters: map[string]int64{"F32": 6, "BF16": 3}, Total: 9, Files: 1,
		Tensors:  []weights.Tensor{{Name: "w", DType: "F32", Shape: []int64{2, 3}}, {Name: "b", DType: "BF16", Shape: []int64{3}}},
		Metadata: map[string]string{"format": "pt"},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestSafetensorsThatLie(t *testing.T) {
	t.Parallel()
	huge := binary.LittleEndian.AppendUint64(nil, 1<<63)
	cases := map[string][]byte{
		"nothing":            nil,
		"a length alone":     huge,
		"length of 60 MB":    append(binary.LittleEndian.AppendUint64(nil, 60<<20), '{'),
		"no object":          tensors(`[]`, 0),
		"cut JSON":           tensors(`{"a":`, 0),
		"outside":            tensors(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 3),
		"wrong size":         tensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4),
		"backward":           tensors(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}`, 4),
		"overflow":           tensors(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0),
		"negative":           tensors(`{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1),
		"sum that overflows": tensors(fmt.Sprintf(`{"a":{"dtype":"X","shape":[%d],"data_offsets":[0,0]},"b":{"dtype":"X","shape":[%d],"data_offsets":[0,0]}}`, math.MaxInt64, 1), 0),
		"many dimensions":    tensors(`{"a":{"dtype":"U8","shape":[`+strings.Repeat("1,", 100)+`1],"data_offsets":[0,1]}}`, 1),
		"metadata of lists":  tensors(`{"__metadata__":{"a":[]}}`, 0),
	}
	for name, file := range cases {
		if s, err := weights.Safetensors(bytes.NewReader(file), int64(len(file))); !errors.Is(err, weights.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

// The size that the Hub gives may be a lie, too: memory goes by what comes.
// This test runs alone, for it counts what all allocate.
func TestMemoryGoesByWhatComes(t *testing.T) {
	lie := append(binary.LittleEndian.AppendUint64(nil, 60<<20), '{')
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := weights.Safetensors(bytes.NewReader(lie), 1<<40)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, weights.ErrMalformed) || after.TotalAlloc-before.TotalAlloc > 32<<20 {
		t.Errorf("%v after %d bytes", err, after.TotalAlloc-before.TotalAlloc)
	}
}

// ggufFile writes GGUF files.
type ggufFile struct {
	bytes.Buffer
	order binary.ByteOrder
}

func (g *ggufFile) put(values ...any) *ggufFile {
	for _, v := range values {
		if s, ok := v.(string); ok {
			binary.Write(g, g.order, uint64(len(s)))
			g.WriteString(s)
			continue
		}
		binary.Write(g, g.order, v)
	}
	return g
}

func gguf(order binary.ByteOrder, version uint32, tensors, pairs uint64) *ggufFile {
	g := &ggufFile{order: order}
	g.WriteString("GGUF")
	return g.put(version, tensors, pairs)
}

const (
	u32, str, arr, u64, f64 = uint32(4), uint32(8), uint32(9), uint32(10), uint32(12)
)

func sample(order binary.ByteOrder) []byte {
	return gguf(order, 3, 2, 7).
		put("general.architecture", str, "llama").
		put("llama.context_length", u32, uint32(4096)).
		put("general.file_type", u32, uint32(15)).
		put("tokenizer.ggml.model", str, "gpt2").
		put("tokenizer.ggml.tokens", arr, str, uint64(2), "a", "b").
		put("nested", arr, arr, uint64(2), u32, uint64(1), uint32(7), f64, uint64(1), 1.5).
		put("tokenizer.chat_template", str, "{{ messages }}").
		put("w", uint32(2), uint64(32), uint64(4), uint32(12), uint64(0)).
		put("b", uint32(1), uint64(4), uint32(0), uint64(128)).Bytes()
}

func TestGGUF(t *testing.T) {
	t.Parallel()
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		file := sample(order)
		s, err := weights.ReadGGUF(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		g := s.GGUF
		if s.Total != 132 || s.Parameters["Q4_K"] != 128 || s.Parameters["F32"] != 4 || len(s.Tensors) != 2 ||
			g.Architecture != "llama" || g.ContextLength != 4096 || g.Quantization != "Q4_K_M" || g.Tokenizer != "gpt2" ||
			g.ChatTemplate != "{{ messages }}" || g.Metadata["tokenizer.ggml.tokens"] != (weights.Array{Len: 2}) {
			t.Errorf("%v: %+v %+v", order, s, g)
		}
		for n := range file { // cut anywhere
			if _, err := weights.ReadGGUF(bytes.NewReader(file[:n]), int64(n)); !errors.Is(err, weights.ErrMalformed) {
				t.Fatalf("cut at %d: %v", n, err)
			}
		}
	}
}

func TestGGUFThatLies(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	deep := gguf(le, 3, 0, 1).put("a")
	for range 100 {
		deep.put(arr).put(arr, uint64(1))
	}
	cases := map[string][]byte{
		"another magic":     []byte("GGML0000000000000000000000"),
		"version 9":         gguf(le, 9, 0, 0).Bytes(),
		"2^63 tensors":      gguf(le, 3, 1<<63, 0).Bytes(),
		"2^63 pairs":        gguf(le, 3, 0, 1<<63).Bytes(),
		"a long key":        gguf(le, 3, 0, 1).put(uint64(1) << 62).Bytes(),
		"a long array":      gguf(le, 3, 0, 1).put("a", arr, u64, uint64(1)<<62).Bytes(),
		"deep arrays":       deep.Bytes(),
		"an unknown type":   gguf(le, 3, 0, 1).put("a", uint32(99)).Bytes(),
		"many dimensions":   gguf(le, 3, 1, 0).put("a", uint32(1<<31)).Bytes(),
		"shape of 2^63":     gguf(le, 3, 1, 0).put("a", uint32(1), uint64(1)<<63, uint32(0), uint64(0)).Bytes(),
		"shape of overflow": gguf(le, 3, 1, 0).put("a", uint32(2), uint64(1)<<62, uint64(4), uint32(0), uint64(0)).Bytes(),
	}
	for name, file := range cases {
		if s, err := weights.ReadGGUF(bytes.NewReader(file), int64(len(file))); !errors.Is(err, weights.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		// with a size that does not give the lie away
		if s, err := weights.ReadGGUF(bytes.NewReader(file), 1<<60); !errors.Is(err, weights.ErrMalformed) {
			t.Errorf("%s of a large file: %+v, %v", name, s, err)
		}
	}
}

type folder map[string][]byte

func (f folder) Open(_ context.Context, path string) (io.ReaderAt, int64, error) {
	data, ok := f[path]
	if !ok {
		return nil, 0, errors.New("not there")
	}
	return bytes.NewReader(data), int64(len(data)), nil
}

func (f folder) paths() []string {
	var out []string
	for p := range f {
		out = append(out, p)
	}
	return out
}

func TestReadFindsTheWeights(t *testing.T) {
	t.Parallel()
	one := tensors(`{"a":{"dtype":"F16","shape":[5],"data_offsets":[0,10]}}`, 10)
	two := tensors(twoTensors, 30)
	index := []byte(`{"metadata":{"total_size":40},"weight_map":{"a":"m-1.safetensors","w":"m-2.safetensors","b":"m-2.safetensors"}}`)
	cases := []struct {
		name  string
		dir   folder
		total int64
		files int
		err   error
	}{
		{"one file", folder{"model.safetensors": one, "other.safetensors": two}, 5, 1, nil},
		{"an index", folder{"model.safetensors.index.json": index, "m-1.safetensors": one, "m-2.safetensors": two, "x.safetensors": one}, 14, 2, nil},
		{"an index of what is not there", folder{"model.safetensors.index.json": index, "m-1.safetensors": one}, 0, 0, weights.ErrMalformed},
		{"an index of nothing", folder{"model.safetensors.index.json": []byte(`{}`)}, 0, 0, weights.ErrMalformed},
		{"an adapter", folder{"adapter_model.safetensors": one, "checkpoint-1/model.safetensors": two}, 5, 1, nil},
		{"GGUF in two sizes", folder{"m-Q4.gguf": sample(binary.LittleEndian), "m-Q8.gguf": []byte("x")}, 132, 1, nil},
		{"GGUF in parts", folder{"m-00001-of-00002.gguf": sample(binary.LittleEndian), "m-00002-of-00002.gguf": sample(binary.LittleEndian), "n.gguf": nil}, 264, 2, nil},
		{"none", folder{"README.md": nil, "pytorch_model.bin": nil}, 0, 0, weights.ErrNone},
	}
	for _, c := range cases {
		s, err := weights.Read(t.Context(), c.dir, c.dir.paths())
		if !errors.Is(err, c.err) || err == nil && (s.Total != c.total || s.Files != c.files) {
			t.Errorf("%s: %+v, %v", c.name, s, err)
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(tensors(twoTensors, 30))
	f.Add(tensors(`{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1))
	f.Add(binary.LittleEndian.AppendUint64(nil, 1<<63))
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := weights.Safetensors(bytes.NewReader(file), int64(len(file)))
		checkSummary(t, s, err)
	})
}

func FuzzGGUF(f *testing.F) {
	f.Add(sample(binary.LittleEndian))
	f.Add(sample(binary.BigEndian))
	f.Add(gguf(binary.LittleEndian, 1, 1<<63, 1).Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := weights.ReadGGUF(bytes.NewReader(file), int64(len(file)))
		checkSummary(t, s, err)
	})
}

func checkSummary(t *testing.T, s *weights.Summary, err error) {
	if err != nil {
		if !errors.Is(err, weights.ErrMalformed) {
			t.Errorf("another error: %v", err)
		}
		return
	}
	sum := int64(0)
	for _, n := range s.Parameters {
		sum += n
	}
	if sum != s.Total || s.Total < 0 {
		t.Errorf("%d parameters in sum, %d in total", sum, s.Total)
	}
}
