package tools_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/llm/llmtest"
	"ml-intern/internal/sandbox"
	"ml-intern/internal/tool"
	"ml-intern/internal/tools"
)

func workspace(t *testing.T) sandbox.Local {
	t.Helper()
	return sandbox.Local{Dir: t.TempDir(), Env: append(sandbox.Environ(os.Environ()), "LC_ALL=C")} // bash complains of a locale that is not there
}

// call runs a tool with the arguments and returns what the model is told.
func call(t *testing.T, tl tool.Tool, args any) tool.Output {
	t.Helper()
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	router, err := tool.NewRouter(tl)
	if err != nil {
		t.Fatal(err)
	}
	return router.Run(t.Context(), tl.Spec().Name, tool.Call{ID: "s/" + t.Name(), Args: string(text), Log: func(string) {}})
}

type args map[string]any

// A picture is shown to the model, made smaller if it is large; by what its bytes
// are, whatever its name says.
func TestReadShowsPictures(t *testing.T) {
	t.Parallel()
	sb := workspace(t)
	for name, data := range map[string][]byte{
		"loss.png": llmtest.PNG(640, 480), "large.txt": llmtest.PNG(4000, 1000), "torn.png": llmtest.PNG(640, 480)[:60], "text.png": []byte("hello\n"), "x.bmp": []byte("BM      "),
	} {
		if err := os.WriteFile(filepath.Join(sb.Dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		want string
		w, h int
	}{
		"loss.png": {"loss.png is a picture (image/png, ", 640, 480}, "large.txt": {"you see it at 1568×392", 1568, 392},
		"torn.png": {"torn.png: read the picture", 0, 0}, "text.png": {"     1\thello", 0, 0}, "x.bmp": {"make a PNG or JPEG of it", 0, 0},
	} {
		out := call(t, tools.Read(sb), args{"path": name})
		if !strings.Contains(out.Text, tt.want) || (out.Image != nil) != (tt.w > 0) {
			t.Errorf("%s: %q, %v", name, out.Text, out.Image)
		}
		if out.Image != nil && (out.Image.Width != tt.w || out.Image.Height != tt.h || out.Image.Name != name) {
			t.Errorf("%s: %s", name, out.Image)
		}
	}
}

func TestReadShowsLines(t *testing.T) {
	t.Parallel()
	sb := workspace(t)
	files := map[string]string{
		"three": "a\nb\nc\n", "no end": "a\nb", "empty": "", "binary": "a\x00b",
		"long line": strings.Repeat("x", 5000), "many": strings.Repeat("x\n", 2500), "latin": "caf\xe9\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(sb.Dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		args  args
		want  string
		error bool
	}{
		{args{"path": "three"}, "     1\ta\n     2\tb\n     3\tc\n", false},
		{args{"path": "three", "offset": 2, "limit": 1}, "     2\tb\n[1 more lines; go on with offset 3]\n", false},
		{args{"path": "three", "offset": 9}, "[the file has 3 lines, none from 9 on]", false},
		{args{"path": "no end"}, "     1\ta\n     2\tb\n", false},
		{args{"path": "empty"}, "[the file is empty]", false},
		{args{"path": "long line"}, "[… 3000 bytes more]", false},
		{args{"path": "many"}, "[1500 more lines; go on with offset 1001]", false},
		{args{"path": "latin"}, `caf\xe9`, false},
		{args{"path": "binary"}, "binary file of 3 bytes", true},
		{args{"path": "nope"}, "there is no file nope", true},
		{args{"path": "."}, "is a folder", true},
	}
	for _, tt := range tests {
		out := call(t, tools.Read(sb), tt.args)
		if !strings.Contains(out.Text, tt.want) || out.IsError != tt.error {
			t.Errorf("%v: got %.200q, error %v; want %q", tt.args, out.Text, out.IsError, tt.want)
		}
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, before string
		args         args
		after, want  string // want is an error's text
	}{
		{"once", "a b c", args{"old": "b", "new": "x"}, "a x c", ""},
		{"not there", "a b c", args{"old": "d", "new": "x"}, "a b c", "is not in the file"},
		{"not unique", "b b", args{"old": "b", "new": "x"}, "b b", "is there 2 times"},
		{"all", "b b", args{"old": "b", "new": "x", "all": true}, "x x", ""},
		{"empty", "b", args{"old": "", "new": "x"}, "b", "is empty"},
		{"the same", "b", args{"old": "b", "new": "b"}, "b", "the same as the old"},
		{"Windows line ends are kept", "a\r\nb\r\nc\r\n", args{"old": "a\nb", "new": "x\ny"}, "x\r\ny\r\nc\r\n", ""},
		{"not text", "a\xff", args{"old": "a", "new": "x"}, "a\xff", "not UTF-8"},
		{"no pattern", "a.c abc", args{"old": "a.c", "new": "$1"}, "$1 abc", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sb := workspace(t)
			path := filepath.Join(sb.Dir, "f")
			if err := os.WriteFile(path, []byte(tt.before), 0o644); err != nil {
				t.Fatal(err)
			}
			tt.args["path"] = "f"
			out := call(t, tools.Edit(sb), tt.args)
			after, err := os.ReadFile(path)
			if err != nil || string(after) != tt.after || out.IsError != (tt.want != "") || !strings.Contains(out.Text, tt.want) {
				t.Errorf("got %q, file %q, %v", out.Text, after, err)
			}
		})
	}
}

func TestWriteNamesItsHash(t *testing.T) {
	t.Parallel()
	out := call(t, tools.Write(workspace(t)), args{"path": "a/b", "content": "hello"})
	if out.IsError || !strings.Contains(out.Text, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824") || len(out.Artifacts) != 1 {
		t.Errorf("got %+v", out)
	}
	if out := call(t, tools.Write(workspace(t)), args{"path": "/etc/x", "content": ""}); !out.IsError || !strings.Contains(out.Text, "outside the workspace") {
		t.Errorf("got %+v", out)
	}
}

func TestBashTellsHowItEnded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args  args
		start string
		end   string
		error bool
	}{
		{args{"command": "echo hi"}, "hi\n[exit 0, ", " s]", false},
		{args{"command": "printf hi"}, "hi\n[exit 0, ", " s]", false},
		{args{"command": "echo no >&2; exit 3"}, "no\n[exit 3, ", " s]", true},
		{args{"command": "echo begun; sleep 60", "timeout_s": 5}, "begun\n", "[timed out after 5 s, the process group was killed]", true},
		{args{"command": " "}, "the command is empty", "", true},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.args["command"]), func(t *testing.T) {
			t.Parallel()
			out := call(t, tools.Bash(workspace(t), nil), tt.args)
			if !strings.HasPrefix(out.Text, tt.start) || !strings.HasSuffix(out.Text, tt.end) || out.IsError != tt.error {
				t.Errorf("got %q, error %v", out.Text, out.IsError)
			}
		})
	}
}

// No secret of this process reaches a command.
func TestBashHasNoSecrets(t *testing.T) {
	sb := sandbox.Local{Dir: t.TempDir(), Env: sandbox.Environ([]string{
		"PATH=" + os.Getenv("PATH"), "HF_TOKEN=hf_secret", "OPENAI_API_KEY=secret", "AWS_SECRET_ACCESS_KEY=secret", "MY_PASSWORD=secret", "SOMETHING=secret",
	})}
	if out := call(t, tools.Bash(sb, nil), args{"command": "env"}); strings.Contains(out.Text, "secret") {
		t.Errorf("the environment holds a secret:\n%s", out.Text)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	out := call(t, tools.Plan(), args{"items": []args{{"text": "look", "status": "done"}, {"text": "train", "status": "doing"}}})
	if out.Text != "plan saved: 1 of 2 done" || len(out.Plan) != 2 {
		t.Errorf("got %+v", out)
	}
	if out := call(t, tools.Plan(), args{"items": []args{{"text": "look", "status": "finished"}}}); !out.IsError {
		t.Errorf("got %+v", out)
	}
}

// Reading beyond the workspace is said before it happens.
func TestImpactOfReading(t *testing.T) {
	t.Parallel()
	sb := workspace(t)
	for path, outside := range map[string]bool{"a": false, "/etc/passwd": true, "../x": true, sb.Dir + "/a": false} {
		text, err := json.Marshal(args{"path": path})
		if err != nil {
			t.Fatal(err)
		}
		for _, tl := range []tool.Tool{tools.Read(sb), tools.InspectDataset(sb)} {
			if got := tl.Spec().Impact(string(text)).Outside != ""; got != outside {
				t.Errorf("%s %s: outside %v, want %v", tl.Spec().Name, path, got, outside)
			}
		}
	}
}
