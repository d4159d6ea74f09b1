package tools_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubtest"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

// put makes a repository of any type with the files.
func (b bench) put(t *testing.T, typ hub.RepoType, name string, files map[string]string) {
	t.Helper()
	repo := hub.RepoID{Type: typ, Namespace: "me", Name: name}
	opts := hub.CreateOptions{Private: true}
	if typ == hub.Space {
		opts.SDK = "static"
	}
	if _, err := b.hub.Client.CreateRepo(t.Context(), repo, opts); err != nil {
		t.Fatal(err)
	}
	var list []hub.File
	for path, content := range files {
		list = append(list, hub.File{Path: path, Content: []byte(content)})
	}
	if _, err := b.hub.Client.Upload(t.Context(), repo, hub.Commit{Files: list}); err != nil {
		t.Fatal(err)
	}
}

func (b bench) inspect(t *testing.T, a args) tool.Output {
	t.Helper()
	return call(t, tools.InspectHubDataset(b.connect), a)
}

// chats is a data set with two configurations: conversations under an old name
// and, in a split of its own, preferences.
func (b bench) chats(t *testing.T) {
	t.Helper()
	var talk, pairs strings.Builder
	for i := range 120 {
		fmt.Fprintf(&talk, `{"conversations":[{"from":"human","value":"question %d %s"},{"from":"gpt","value":"answer"}],"n":%d}`+"\n", i, strings.Repeat("long ", 100), i)
		fmt.Fprintf(&pairs, `{"prompt":"p%d","chosen":"good","rejected":"bad"}`+"\n", i)
	}
	b.put(t, hub.Dataset, "chats", map[string]string{
		"README.md":   "---\nlicense: mit\nconfigs:\n- config_name: talk\n  data_files: talk.jsonl\n- config_name: pairs\n  data_files:\n  - split: dev\n    path: pairs.jsonl\n---\n# Chats\n",
		"talk.jsonl":  talk.String(),
		"pairs.jsonl": pairs.String(),
	})
}

func TestInspectHubDataset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chats(t)
	wantText(t, b.inspect(t, args{"dataset": "me/chats"}), false,
		"me/chats\n", "/datasets/me/chats", "talk / train: 120 rows", "pairs / dev: 120 rows",
		"conversations", "from", "row 0:", "row 2:", "!row 3:", "bytes more",
		"SFT: ", "rename conversations to messages", "holds conversations: roles", "such as {")
	// A split of another configuration is not taken for one of this.
	wantText(t, b.inspect(t, args{"dataset": "me/chats", "config": "pairs", "sample_rows": 1}), false,
		"columns of pairs / dev", "DPO: yes", "row 0:", "!row 1:")
	wantText(t, b.inspect(t, args{"dataset": "me/chats", "split": "dev"}), false, "columns of pairs / dev")
	wantText(t, b.inspect(t, args{"dataset": "me/chats", "statistics": true}), false, "statistics of 120 rows", "n (int): 0 missing, min 0, max 119")
	wantText(t, b.inspect(t, args{"dataset": "me/chats", "config": "talk", "split": "dev"}), true, `no split "dev"; it has train`)
	wantText(t, b.inspect(t, args{"dataset": "me/chats", "config": "x"}), true, "there are talk, pairs")
	wantText(t, b.inspect(t, args{"dataset": "me/chat"}), true, "not found", "there are: me/chats")
	wantText(t, b.inspect(t, args{"dataset": "models/me/chats"}), true, "not a data set")
	wantText(t, b.inspect(t, args{}), true, "missing")
}

// What the viewer cannot show is described by what the Hub knows.
func TestInspectHubDatasetWithoutViewer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(t, hub.Dataset, "blobs", map[string]string{"README.md": "---\nlicense: mit\n---\n", "data.bin": "\x00\x01"})
	wantText(t, b.inspect(t, args{"dataset": "me/blobs"}), false, "cannot be shown", "licence: mit", "data.bin (2.0B)")
}

// A part that fails costs that part alone.
func TestInspectHubDatasetParts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chats(t)
	b.hub.Break(hubtest.Fault{Path: "/datasets-server/size", Status: 501, Times: -1})
	wantText(t, b.inspect(t, args{"dataset": "me/chats"}), false, "talk / train\n", "warning: no sizes", "row 0:")
}

func TestHubSearch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.put(t, hub.Model, "forest", map[string]string{"README.md": "---\nlicense: mit\npipeline_tag: tabular-classification\nlibrary_name: sklearn\nbase_model: me/seed\n---\n"})
	b.put(t, hub.Model, "desert", map[string]string{"README.md": "---\nlicense: apache-2.0\n---\n"})
	b.put(t, hub.Dataset, "forests", map[string]string{"a.csv": "x\n1\n"})
	find := func(a args) tool.Output { return call(t, tools.HubSearch(b.connect), a) }
	wantText(t, find(args{"query": "fore"}), false, "1 models, by downloads", "me/forest · tabular-classification · sklearn · mit", "private", "!desert")
	wantText(t, find(args{"license": "apache-2.0"}), false, "me/desert", "!forest")
	wantText(t, find(args{"base_model": "me/seed"}), false, "me/forest", "!desert")
	wantText(t, find(args{"repo_type": "datasets", "query": "forest"}), false, "1 datasets", "me/forests")
	wantText(t, find(args{"query": "jungle"}), false, "0 models", "fewer words")
	wantText(t, find(args{"limit": 1, "sort": "lastModified"}), false, "1 models, by lastModified", "me/desert")
	wantText(t, find(args{"repo_type": "paper"}), true, "must be model, dataset or space")
	wantText(t, find(args{"sort": "beauty"}), true, "sort")
}

// safetensors is a file of that format with one tensor of 12 numbers.
func safetensors() string {
	header := `{"w":{"dtype":"BF16","shape":[3,4],"data_offsets":[0,24]}}`
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + strings.Repeat("\x00", 24)
}

func TestRepoDetails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.chats(t)
	b.put(t, hub.Model, "llm", map[string]string{
		"README.md":             "---\nlicense: mit\nbase_model: [a/b, c/d]\nlanguage: en\npipeline_tag: text-generation\n---\n",
		"config.json":           `{"architectures":["LlamaForCausalLM"],"model_type":"llama","max_position_embeddings":8192,"torch_dtype":"bfloat16","num_hidden_layers":2,"hidden_size":64,"vocab_size":1000}`,
		"tokenizer_config.json": `{"tokenizer_class":"PreTrainedTokenizerFast","chat_template":"{{ messages }}"}`,
		"model.safetensors":     safetensors(),
	})
	b.put(t, hub.Model, "odd", map[string]string{"config.json": "not JSON", "weights.bin": "x"})
	b.put(t, hub.Space, "app", map[string]string{"index.html": "hello"})
	show := func(a args) tool.Output { return call(t, tools.RepoDetails(b.connect), a) }
	wantText(t, show(args{"repo_id": "me/llm"}), false,
		"model: me/llm", "licence: mit", "base model: a/b, c/d", "architecture: LlamaForCausalLM", "model type: llama", "context length: 8192",
		"declared type: bfloat16", "layers: 2", "hidden size: 64", "vocabulary: 1000", "parameters: 12 (12), BF16 12",
		"tokenizer: PreTrainedTokenizerFast", "chat template: yes", "visibility: private", "config.json (")
	wantText(t, show(args{"repo_id": "me/odd"}), false, "model: me/odd", "weights.bin", "!architecture", "!parameters")
	wantText(t, show(args{"repo_id": "me/chats", "repo_type": "dataset"}), false,
		"dataset: me/chats", "configuration talk: train 120 rows; columns: conversations, n", "configuration pairs: dev 120 rows")
	wantText(t, show(args{"repo_id": "me/app", "repo_type": "space"}), false, "space: me/app", "SDK: static", "state: RUNNING")
	wantText(t, show(args{"repo_id": "me/ll"}), true, "not found", "there are: me/llm")
	wantText(t, show(args{"repo_id": "me/llm", "revision": "nope"}), true, "not found", "!there are")
}
