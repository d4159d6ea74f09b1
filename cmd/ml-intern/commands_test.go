package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"ml-intern/internal/llm/llmtest"
)

// commands are the words that the scripts have besides testscript's own.
func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"exits": exits, "model": model, "requests": requests, "nowhere": nowhere, "json": checkJSON, "lines": lines,
		"list": list, "id": id, "below": below, "hub": startHub, "job": jobID,
		"receive": receive, "told": wasTold,
	}
}

// exits CODE PROGRAM ARGS… runs a program and checks its exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

type serverKey struct{}

// model FILE starts an endpoint that plays the script and points the program
// at it.
func model(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: model FILE")
	}
	turns, err := llmtest.ReadScript(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	s := llmtest.NewServer(turns...)
	ts.Defer(s.Close)
	ts.Setenv("OPENAI_BASE_URL", s.URL)
	ts.Setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
	ts.Setenv("ANTHROPIC_BASE_URL", s.URL)
	ts.Setenv("HF_ROUTER_BASE_URL", s.URL)
	ts.Value(serverKey{}).(*current).server = s
}

// current holds the endpoint of a script.
type current struct{ server *llmtest.Server }

// list FILE starts an endpoint that has the file for its list of models, and
// points the router and Ollama at it.
func list(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: list FILE")
	}
	text := []byte(ts.ReadFile(args[0]))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) })
	s := httptest.NewServer(mux)
	ts.Defer(s.Close)
	ts.Setenv("HF_ROUTER_BASE_URL", s.URL+"/v1")
	ts.Setenv("OLLAMA_BASE_URL", s.URL)
}

// requests N TEXT checks how many requests the endpoint got, and that the last
// one holds the text.
func requests(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] requests N TEXT")
	}
	seen := ts.Value(serverKey{}).(*current).server.Seen()
	if fmt.Sprint(len(seen)) != args[0] {
		ts.Fatalf("%d requests, want %s", len(seen), args[0])
	}
	if len(seen) > 0 && strings.Contains(string(seen[len(seen)-1].Body), args[1]) == neg {
		ts.Fatalf("the last request holds %q: %v", args[1], neg)
	}
}

// nowhere TEXT… checks that no request to the model and no file of the program's
// own holds one of the texts, and that nobody else can read those files. What is
// kept of the workspace's files is as the person wrote it, and below the folder that
// is the commands' /tmp they make what they like.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nowhere TEXT...")
	}
	holds := func(where string, data []byte) {
		for _, text := range args {
			if bytes.Contains(data, []byte(text)) {
				ts.Fatalf("%s holds %q", where, text)
			}
		}
	}
	for i, r := range ts.Value(serverKey{}).(*current).server.Seen() {
		holds(fmt.Sprintf("request %d", i+1), r.Body)
	}
	ts.Check(filepath.WalkDir(ts.Getenv("ML_INTERN_HOME"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if filepath.Base(filepath.Dir(filepath.Dir(path))) == "tmp" {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			return fmt.Errorf("%s can be read by others", path)
		}
		if !d.Type().IsRegular() || strings.Contains(filepath.ToSlash(path), "/checkpoints/") {
			return nil
		}
		data, err := os.ReadFile(path)
		holds(path, data)
		return err
	}))
}

// json KEY[=VALUE]… checks the object on standard output. A key may have dots;
// blanks of a value are written as dashes.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	for _, arg := range args {
		key, want, hasValue := strings.Cut(arg, "=")
		var value any = object
		for part := range strings.SplitSeq(key, ".") {
			m, ok := value.(map[string]any)
			if !ok || m[part] == nil {
				ts.Fatalf("there is no %s", key)
			}
			value = m[part]
		}
		got := strings.ReplaceAll(fmt.Sprint(value), " ", "-")
		if hasValue && got != want {
			ts.Fatalf("%s is %s, want %s", key, got, want)
		}
	}
}

// id puts the id of the session on standard output into the variable ID.
func id(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Setenv("ID", result(ts).SessionID)
}

// jobID NAME VARIABLE puts the id of the job of that name, of the list on
// standard output, into a variable. Blanks of a name are written as dashes.
func jobID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: job NAME VARIABLE")
	}
	var jobs []struct{ ID, Name string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &jobs))
	for _, j := range jobs {
		if strings.ReplaceAll(j.Name, " ", "-") == args[0] {
			ts.Setenv(args[1], j.ID)
			return
		}
	}
	ts.Fatalf("there is no job %s", args[0])
}

// below USD checks that the result on standard output cost something, and not
// more than that.
func below(ts *testscript.TestScript, _ bool, args []string) {
	limit, err := strconv.ParseFloat(args[0], 64)
	ts.Check(err)
	if cost := result(ts).CostUSD; cost <= 0 || cost > limit {
		ts.Fatalf("the cost is $%v, want up to $%v", cost, limit)
	}
}

type resultJSON struct {
	SessionID string  `json:"session_id"`
	CostUSD   float64 `json:"cost_usd"`
}

func result(ts *testscript.TestScript) (r resultJSON) {
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &r))
	return r
}

// lines N checks that standard output is N lines of JSON.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	out := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	for _, line := range out {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("not JSON: %s", line)
		}
	}
	if fmt.Sprint(len(out)) != args[0] {
		ts.Fatalf("%d lines, want %s", len(out), args[0])
	}
}
