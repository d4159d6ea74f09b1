package hub_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/hub/weights"
)

func tensorFile(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func TestRemoteFile(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	data := noise(3<<20, 7)
	upload(t, h, repo, hub.File{Path: "a b.bin", Content: data})
	f, err := h.Client.OpenRemote(t.Context(), repo, "", "a b.bin")
	if err != nil || f.Size != int64(len(data)) {
		t.Fatalf("OpenRemote = %+v, %v", f, err)
	}
	r := f.Reader(t.Context())
	h.Requests()
	h.Break(hubtest.Fault{Path: "/resolve/", CutAfter: 1000})
	for _, c := range []struct{ off, n int }{{0, 8}, {8, 1000}, {500_000, 100_000}, {2 << 20, 1 << 20}, {len(data) - 5, 5}, {100, 0}} {
		p := make([]byte, c.n)
		if n, err := r.ReadAt(p, int64(c.off)); n != c.n || err != nil || !bytes.Equal(p, data[c.off:c.off+c.n]) {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
	if n := len(h.Requests()); n > 6 {
		t.Errorf("%d requests", n)
	}
	if n, err := r.ReadAt(make([]byte, 10), int64(len(data)-5)); n != 5 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("before the beginning there is something")
	}
	upload(t, h, repo, hub.File{Path: "a b.bin", Content: noise(100, 8)}) // the commit is fixed
	p := make([]byte, 100)
	if _, err := r.ReadAt(p, 1<<20); err != nil || !bytes.Equal(p, data[1<<20:1<<20+100]) {
		t.Errorf("after another commit: %v", err)
	}
}

func TestWeights(t *testing.T) {
	t.Parallel()
	h := hubtest.Start(t)
	repo := newRepo(t, h, hub.Model)
	const parts = 3
	for _, name := range []string{"m-1.safetensors", "m-2.safetensors", "m-3.safetensors"} {
		header := `{"` + name + `":{"dtype":"BF16","shape":[1000,1000],"data_offsets":[0,2000000]}}`
		upload(t, h, repo, hub.File{Path: name, Content: tensorFile(header, 2_000_000)})
	}
	index := `{"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-3.safetensors"}}`
	upload(t, h, repo, file("model.safetensors.index.json", index), file("config.json", `{"architectures":["LlamaForCausalLM"],"model_type":"llama","x":1}`))
	h.Requests()
	s, err := h.Client.Weights(t.Context(), repo, "main")
	if err != nil || s.Total != parts*1_000_000 || s.Parameters["BF16"] != s.Total || len(s.Tensors) != parts || s.Files != parts {
		t.Errorf("Weights = %+v, %v", s, err)
	}
	for _, r := range h.Requests() {
		if r.Method == http.MethodGet && strings.Contains(r.Path, "/resolve/") && r.Range == "" {
			t.Errorf("%s was downloaded whole", r.Path)
		}
	}
	checkFacts(t, h, repo)
	empty := hub.RepoID{Type: hub.Model, Namespace: "me", Name: "empty"}
	if _, err := h.Client.CreateRepo(t.Context(), empty, hub.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Client.Weights(t.Context(), empty, ""); !errors.Is(err, weights.ErrNone) {
		t.Errorf("an empty model: %v", err)
	}
}

// checkFacts: the Hub tells the same of a model by itself.
func checkFacts(t *testing.T, h *hubtest.Hub, repo hub.RepoID) {
	t.Helper()
	var info struct {
		Safetensors struct {
			Parameters map[string]int64 `json:"parameters"`
			Total      int64            `json:"total"`
		} `json:"safetensors"`
		Config       map[string]any `json:"config"`
		Transformers struct {
			Auto string `json:"auto_model"`
		} `json:"transformersInfo"`
		SHA string `json:"sha"`
	}
	for _, query := range []string{"", "?expand=safetensors&expand=config&expand=transformersInfo"} {
		resp, err := http.Get(h.URL + "/api/models/" + repo.String() + query) //nolint:noctx // a short test
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&info)
		resp.Body.Close()
		if err != nil || info.Safetensors.Total != 3_000_000 || info.Safetensors.Parameters["BF16"] != 3_000_000 ||
			info.Config["model_type"] != "llama" || info.Transformers.Auto != "AutoModelForCausalLM" {
			t.Errorf("%q: %+v, %v", query, info, err)
		}
	}
}
