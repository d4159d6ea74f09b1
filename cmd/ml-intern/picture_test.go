//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ml-intern/internal/llm/llmtest"
)

// A looker runs the program against a server, in a folder with pictures.
type looker struct {
	t        *testing.T
	exe, dir string
	server   *llmtest.Server
}

func newLooker(t *testing.T, turns ...llmtest.Turn) *looker {
	t.Helper()
	l := &looker{t: t, exe: program(t), dir: t.TempDir(), server: llmtest.NewServer(turns...)}
	t.Cleanup(l.server.Close)
	l.write("home/config/config.yaml", []byte("models:\n  openai/test: {images: true}\n  anthropic/test: {images: true}\n"))
	l.write("w/plot.png", llmtest.PNG(640, 480))
	l.write("w/a large.png", llmtest.PNG(3000, 1500))
	l.write("w/bomb.png", append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xff\xff\x00\x00\xff\xff\x08\x06\x00\x00\x00"), 0xb6, 0x05, 0xd9, 0x50))
	l.write("w/notes.md", []byte("notes"))
	return l
}

func (l *looker) write(name string, data []byte) {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *looker) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(l.t.Context(), l.exe, args...)
	c.Dir = filepath.Join(l.dir, "w")
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "ML_INTERN_HOME=" + filepath.Join(l.dir, "home"),
		"OPENAI_BASE_URL=" + l.server.URL, "OPENAI_API_KEY=x", "ANTHROPIC_BASE_URL=" + l.server.URL, "ANTHROPIC_API_KEY=x",
	}
	return c
}

// run runs the program to its end.
func (l *looker) run(exit int, args ...string) (out, errs string) {
	l.t.Helper()
	c := l.command(args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	code := 0
	if err := c.Run(); err != nil {
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			l.t.Fatal(err)
		}
		code = failed.ExitCode()
	}
	if code != exit {
		l.t.Fatalf("ml-intern %q: exit %d, want %d: %s", args, code, exit, e.String())
	}
	return o.String(), e.String()
}

// pictureData finds the data of pictures in a request of either wire.
var pictureData = regexp.MustCompile(`"(?:data:image/png;base64,|[a-z":,/]*"data":")?iVBOR[^"]*"`)

// Pictures of a prompt are in the log as they were: a program that was killed
// after the prompt makes the same request again, byte for byte, although the
// files have changed, and goes on from there.
func TestPicturesOutliveAKill(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"openai/test", "anthropic/test"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			look := llmtest.Turn{Calls: []llmtest.TurnCall{{Name: "read", Args: `{"path":"plot.png"}`}}}
			l := newLooker(t, llmtest.Turn{Hang: true}, look, llmtest.Turn{Text: "it falls"}, llmtest.Turn{Text: "still"})
			c := l.command("--model", model, `compare @plot.png with @"a large.png", not @notes.md`)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(time.Minute); len(l.server.Seen()) == 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("there is no request")
				}
			}
			if err := c.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait() // it was killed
			l.write("w/plot.png", llmtest.PNG(31, 17))
			if err := os.Remove(filepath.Join(l.dir, "w", "a large.png")); err != nil {
				t.Fatal(err)
			}
			l.run(0, "--continue", "--quiet")
			l.run(0, "--continue", "--fork", "--quiet", "and now?")
			seen := l.server.Seen()
			if len(seen) != 4 {
				t.Fatalf("%d requests", len(seen))
			}
			if !bytes.Equal(seen[0].Body, seen[1].Body) {
				t.Errorf("the request is another one after the crash:\n%.2000s\n%.2000s", seen[0].Body, seen[1].Body)
			}
			for i, want := range []int{2, 2, 3, 3} {
				if n := len(pictureData.FindAll(seen[i].Body, -1)); n != want {
					t.Errorf("request %d has %d pictures, want %d: %.3000s", i, n, want, seen[i].Body)
				}
			}
			for _, words := range []string{"[picture plot.png, 640×480]", "[picture a large.png, 1568×784]"} {
				if !bytes.Contains(seen[3].Body, []byte(words)) {
					t.Errorf("the model does not read %q", words)
				}
			}
			begun := seen[2].Body[:bytes.LastIndex(seen[1].Body, []byte("a large.png"))]
			if !bytes.HasPrefix(seen[3].Body, begun) {
				t.Error("a request of the fork does not begin as the one before")
			}
			l.looksTheSame()
		})
	}
}

// looksTheSame checks how the sessions are shown.
func (l *looker) looksTheSame() {
	l.t.Helper()
	list, _ := l.run(0, "sessions", "ls")
	id := regexp.MustCompile(`\d{8}-\d{6}-\w{4}`).FindString(list)
	events, _ := l.run(0, "sessions", "show", id, "--output", "events")
	if strings.Contains(events, "iVBOR") || strings.Count(events, `"sha256":"`) < 3 || !strings.Contains(events, `"name":"plot.png","media_type":"image/png","width":640,"height":480,"bytes":`) {
		l.t.Errorf("events %.3000s", events)
	}
	text, _ := l.run(0, "sessions", "show", id)
	if !strings.Contains(text, "[picture plot.png 640×480, ") || !strings.Contains(text, "[picture a large.png 1568×784, ") {
		l.t.Errorf("shown as %s", text)
	}
	for format, want := range map[string]int{"html": 3, "md": 0, "jsonl": 0} {
		page, _ := l.run(0, "sessions", "export", id, "--format", format)
		if n := strings.Count(page, "iVBOR"); n != want || !strings.Contains(page, "plot.png") {
			l.t.Errorf("%s has %d pictures, want %d", format, n, want)
		}
	}
	info, err := os.Stat(filepath.Join(l.dir, "home", "state", "sessions.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		l.t.Errorf("the store: %v, %v", info, err)
	}
}

// What is wrong with a picture is said before anything is spent; what may be the
// name of something else is no reason to stop.
func TestPicturesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	l := newLooker(t, llmtest.Turn{Text: "fine"}, llmtest.Turn{Text: "fine"}, llmtest.Turn{Text: "fine"})
	_, errs := l.run(2, "--model", "openai/test", "look at @bomb.png")
	if n := len(l.server.Seen()); n != 0 || !strings.Contains(errs, "bomb.png: the picture has 65535×65535 points") {
		t.Errorf("%d requests; %s", n, errs)
	}
	_, errs = l.run(0, "--model", "openai/test", "draw the loss into @out.png, as @somebody asks")
	if !strings.Contains(errs, "not sent as a picture: out.png: there is no such file") || strings.Contains(errs, "somebody") {
		t.Errorf("said %s", errs)
	}
	_, errs = l.run(0, "--model", "openai/blind", "look at @plot.png")
	body := string(l.server.Seen()[1].Body)
	if !strings.Contains(errs, "openai/blind takes no pictures: it reads the name of plot.png and sees nothing of it") || strings.Contains(body, "iVBOR") ||
		!strings.Contains(body, "look at @plot.png") || !strings.Contains(body, "[the picture plot.png, 640×480, which this model cannot see]") {
		t.Errorf("said %s; sent %.2000s", errs, body)
	}
	// Another model sees what the first could not.
	l.run(0, "--continue", "--model", "openai/test", "and you?")
	if body := string(l.server.Seen()[2].Body); strings.Count(body, "iVBOR") != 1 {
		t.Errorf("sent %.2000s", body)
	}
}

// What comes from standard input may be another's words: it names no pictures
// outside the working folder, also not by a link.
func TestPipedPictures(t *testing.T) {
	t.Parallel()
	l := newLooker(t, llmtest.Turn{Text: "fine"})
	l.write("mine.png", llmtest.PNG(20, 10))
	if err := os.Symlink(filepath.Join(l.dir, "mine.png"), filepath.Join(l.dir, "w", "link.png")); err != nil {
		t.Fatal(err)
	}
	c := l.command("--model", "openai/test", "--quiet", "-")
	c.Stdin = strings.NewReader("look at @plot.png, @~/mine.png, @../mine.png and @link.png")
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Run(); err != nil {
		t.Fatal(err, errs.String())
	}
	if n := strings.Count(string(l.server.Seen()[0].Body), "data:image/png"); n != 1 || strings.Count(errs.String(), "outside the working folder") != 3 {
		t.Errorf("%d pictures were sent; %s", n, errs.String())
	}
}

// A recording names the pictures and has none of them; it plays.
func TestRecordedPictures(t *testing.T) {
	t.Parallel()
	l := newLooker(t, llmtest.Turn{Text: "it falls"})
	l.run(0, "--model", "openai/test", "--record", "rec.jsonl", "look at @plot.png")
	rec, err := os.ReadFile(filepath.Join(l.dir, "w", "rec.jsonl"))
	if err != nil || bytes.Contains(rec, []byte("iVBOR")) || !bytes.Contains(rec, []byte(`"name":"plot.png"`)) {
		t.Errorf("%v, recorded %.2000s", err, rec)
	}
	out, errs := l.run(0, "replay", "rec.jsonl")
	if !strings.Contains(out, "it falls") || strings.Contains(errs, "not like the recorded") || len(l.server.Seen()) != 1 {
		t.Errorf("played %s %s", out, errs)
	}
}
