package chat_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ml-intern/internal/chat"
	"ml-intern/internal/config"
	"ml-intern/internal/llm/llmtest"
)

func write(path, text string) llmtest.Turn {
	return call("write", `{"path": "`+path+`", "content": "`+text+`"}`)
}

// Going back brings files, the conversation or both back, after a list; the
// last turn's files come back by one word, and the model is told.
func TestGoBack(t *testing.T) {
	t.Parallel()
	r := newRoom(t, write("f", "one"), say("1"), write("f", "two"), say("2"), write("f", "three"), say("3"), say("I see"), say("anew"))
	g := r.enter(chat.Options{})
	g.say("first")
	g.say("second")
	g.say("third")
	if text := g.must("/diff").Text; !strings.Contains(text, "new: `f`") || !strings.Contains(text, "+three") {
		t.Errorf("the diff is %s", text)
	}
	if text := g.must("/undo").Text; r.read("f") != "two" || !strings.Contains(text, "To undo it") {
		t.Fatalf("f has %q: %s", r.read("f"), text)
	}
	g.say("look")
	if !strings.Contains(r.told(6), "the person brought files of the workspace back") {
		t.Error("the model does not know")
	}
	points := g.must("/rewind").Pick
	i := slices.IndexFunc(points.Items, func(i chat.Item) bool { return i.Title == "second" })
	if i < 0 || points.Then != "/rewind" {
		t.Fatalf("where to: %+v", points)
	}
	list := g.must("/rewind " + points.Items[i].ID)
	if list.Pick == nil || !strings.Contains(list.Text, "change `f`") {
		t.Fatalf("what would change: %+v", list)
	}
	r.write("f", "mine")
	if mine := g.must("/rewind " + points.Items[i].ID); !strings.Contains(mine.Text, "only with force") || mine.Pick.Items[0].Title != "conversation" {
		t.Fatalf("others' work is overwritten by what stands first: %+v", mine)
	}
	r.write("f", "two")
	old := g.state.Session
	done := g.must("/rewind " + list.Pick.Items[0].ID)
	if r.read("f") != "one" || done.Fill != "second" || g.state.Session == old {
		t.Errorf("f has %q, session %s: %+v", r.read("f"), g.state.Session, done)
	}
	if words := g.words(); !strings.HasSuffix(words, "answer:1") {
		t.Errorf("it shows %s", words)
	}
	copied := g.state.Session
	for _, line := range regexp.MustCompile("`(/re[^`]+)`").FindAllStringSubmatch(done.Text, -1) { // the way to undo it that is told
		g.must(line[1])
	}
	if r.read("f") != "two" || g.state.Session != old {
		t.Errorf("undone: f has %q, session %s: %s", r.read("f"), g.state.Session, done.Text)
	}
	g.must("/resume " + copied)
	g.say("again")
	if !strings.HasSuffix(g.words(), "prompt:again answer:anew") {
		t.Error(g.words())
	}
	for _, bad := range []string{"/rewind x", "/rewind 2 sideways", "/rewind 4000 both", "/undo now"} {
		if _, err := g.do(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// A chat goes from session to session; each has its own log and lease, and what
// was chosen in one holds when it is taken up again.
func TestSessions(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("1"), say("2"), say("3"), say("4"))
	cfg := r.config()
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.say("apples")
	first := g.state.Session
	g.must("/approve plan")
	g.must("/effort high")
	g.must("/rename fruit")
	g.must("/new")
	g.must("/approve strict")
	g.say("pears")
	second := g.state.Session
	if first == second || g.state.Mode != "strict" || g.state.Effort != "high" {
		t.Errorf("the new session is %+v", g.state)
	}
	pick := g.must("/sessions fruit").Pick
	if pick == nil || len(pick.Items) != 1 || pick.Items[0].ID != first || pick.Items[0].Title != "fruit" {
		t.Fatalf("found %+v", pick)
	}
	g.must(pick.Then + " " + first)
	if g.state.Mode != "plan" || g.state.Effort != "high" || g.state.Title != "fruit" || !strings.HasPrefix(g.words(), "prompt:apples answer:1") {
		t.Errorf("it went on as %+v with %s", g.state, g.words())
	}
	other, err := r.tryEnter(r.config(), chat.Options{Resume: first})
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second one: %v %v", other, err)
	}
	g.must("/fork")
	if g.state.Session == first || g.state.Mode != "plan" {
		t.Errorf("the copy is %+v", g.state)
	}
	g.say("more")
	if _, err := g.do("/resume nonsense"); err == nil || g.state.Session == first {
		t.Errorf("no such session: %v", err)
	}
	g.close()

	strict := r.config()
	strict.Approve = "ask" // as a file would say
	again, err := r.tryEnter(strict, chat.Options{Continue: true})
	if err != nil {
		t.Fatal(err)
	}
	if s := again.phase(chat.Idle); s.Mode != "plan" || s.Effort != "high" {
		t.Errorf("taken up again it is %+v", s)
	}
}

// The model can be changed while a turn works: the next prompt goes to the
// other, also after the session was taken up again.
func TestModel(t *testing.T) {
	t.Parallel()
	r := newRoom(t, gated("echo 0"), say("1"), say("2"), say("3"))
	cfg := r.config()
	g, err := r.tryEnter(cfg, chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.do("/model anthropic/x"); err == nil || !strings.Contains(err.Error(), "ANTHROPIC_API_KEY") {
		t.Errorf("a model without a key: %v", err)
	}
	for _, it := range g.must("/model").Pick.Items {
		if strings.HasSuffix(it.ID, "/NAME") {
			t.Errorf("%s is to be chosen", it.ID)
		}
	}
	g.Say("first")
	g.until("the call", func(u chat.Update) bool { return u.Event != nil && u.Event.Started != nil })
	if text := g.must("/model openai/other").Text; !strings.Contains(text, "next prompt") {
		t.Errorf("it says %s", text)
	}
	r.openGate()
	g.phase(chat.Idle)
	g.say("second")
	if !strings.Contains(r.told(1), `"model":"test"`) || !strings.Contains(r.told(2), `"model":"other"`) || g.state.Model != "openai/other" {
		t.Errorf("asked %.60s, then %.60s", r.told(1), r.told(2))
	}
	if !strings.Contains(g.words(), "chose:openai/other") {
		t.Error(g.words())
	}
	g.close()
	plain := r.config()
	plain.Model = ""
	plain, err = config.Load(append(plain.ProcessEnviron(), "OPENAI_API_KEY=sk-test"), r.dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.tryEnter(plain, chat.Options{Continue: true})
	if err != nil {
		t.Fatal(err)
	}
	again.phase(chat.Idle)
	again.say("third")
	if !strings.Contains(r.told(3), `"model":"other"`) {
		t.Errorf("asked %.60s", r.told(3))
	}
}

// What can be looked at is, before there is a session, beside a turn and after.
func TestLook(t *testing.T) {
	t.Parallel()
	r := newRoom(t, call("plan", `{"items": [{"text": "look", "status": "doing"}, {"text": "leap", "status": "pending"}]}`), gated("echo 0"), say("done"), say("done"), say("done"), say("more"), say("# Summary\nall of it"))
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	for _, line := range []string{"/plan", "/cost", "/context", "/tools", "/diff", "/retry", "/compact", "/undo", "/rewind", "/fork", "/rename x", "/export"} {
		if _, err := g.do(line); err == nil || !strings.Contains(err.Error(), "no session yet") {
			t.Errorf("%s without a session: %v", line, err)
		}
	}
	for _, line := range []string{"/help", "/jobs", "/doctor", "/mcp", "/memory", "/model", "/effort", "/approve", "/sessions", "/theme"} {
		if res := g.must(line); res == (chat.Result{}) {
			t.Errorf("%s shows nothing", line)
		}
	}
	g.Say("go")
	g.until("the command", func(u chat.Update) bool {
		return u.Event != nil && u.Event.Started != nil && strings.Contains(g.words(), "result")
	})
	for line, want := range map[string]string{
		"/plan": "**look** (now)", "/cost": "| step | openai/test | 2 |", "/context": "results of tools", "/tools": "| bash | executes |",
	} {
		if text := g.must(line).Text; !strings.Contains(text, want) {
			t.Errorf("%s shows %s", line, text)
		}
	}
	for _, line := range []string{"/compact", "/new", "/undo", "/resume x"} {
		if _, err := g.do(line); err == nil || !strings.Contains(err.Error(), "a turn is at work") {
			t.Errorf("%s beside a turn: %v", line, err)
		}
	}
	r.openGate()
	g.phase(chat.Idle)
	if _, err := g.do("/rewind 7777"); err == nil || !strings.Contains(err.Error(), "/rewind alone lists where to") || strings.Contains(err.Error(), "--at") {
		t.Errorf("/rewind to nowhere: %v", err)
	}
	g.Say("!")
	g.until("a word about !", func(u chat.Update) bool { return strings.Contains(u.Notice, "say which") })
	g.must("/export md out.md")
	if !strings.Contains(r.read("out.md"), "done") {
		t.Errorf("the export is %q", r.read("out.md"))
	}
	if _, err := g.do("/export md out.md"); err == nil {
		t.Error("an export takes the place of a file")
	}
	g.must("/export ~/our talk.html")
	if page, err := os.ReadFile(filepath.Join(r.home, "our talk.html")); err != nil || !strings.Contains(string(page), "<html") {
		t.Errorf("the page at home: %v, %.100s", err, page)
	}
	g.say("more")
	g.must("/compact")
	if !strings.HasSuffix(g.words(), "compact") || g.state.Interrupted != "" {
		t.Error(g.words())
	}
	if _, err := g.do("/retry"); err == nil {
		t.Error("a summary makes a turn unanswered")
	}
	if _, err := g.do("/complct"); err == nil || !strings.Contains(err.Error(), "did you mean /compact?") {
		t.Errorf("a slip: %v", err)
	}
	if !g.must("/quit").Quit {
		t.Error("/quit does not")
	}
}

// A file that is no command says why, one with an exclamation mark is a prompt like
// all others, and one without a word sends nothing.
func TestOddOwnCommands(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("1"))
	dir := filepath.Join(r.home, "config", "commands")
	if err := os.MkdirAll(filepath.Join(dir, "folder.md"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"huge": strings.Repeat("x", 1<<17), "empty": " \n", "Big": "x", "shout": "!touch shouted"} {
		if err := os.WriteFile(filepath.Join(dir, name+".md"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.write(".ml-intern/commands/deploy.md", "Deploy it.")
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	for line, want := range map[string]string{
		"/huge": "at most 65536 bytes", "/folder": "is no file", "/Big": "small letters", "/empty": "says nothing", "/deploy": "ml-intern config trust",
		"/exit": "did you mean /quit?", "/clear": "did you mean /new?", "/modell": "did you mean /model?", "/zzz": "/help lists", "/../x": "/help lists",
	} {
		if _, err := g.Command(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	g.must("/shout")
	g.asked(r, 1)
	g.rest()
	g.phase(chat.Idle)
	if g.words() != "prompt:!touch shouted answer:1" || r.read("shouted") != "" {
		t.Errorf("%q", g.words())
	}
}

// Commands are written as Markdown: the person's count, a project's when the
// person trusts the folder as it is.
func TestOwnCommands(t *testing.T) {
	t.Parallel()
	r := newRoom(t, say("1"), say("2"))
	r.write(".ml-intern/commands/deploy.md", "---\ndescription: put it online\n---\nDeploy $ARGUMENTS now.")
	mine := filepath.Join(r.home, "config", "commands", "explain.md")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("# Explain like I am five\n\nUse few words."), 0o644); err != nil {
		t.Fatal(err)
	}
	has := func(g *guest, name string) bool {
		return slices.ContainsFunc(g.Commands(), func(c chat.Command) bool { return c.Name == name })
	}
	g := r.enter(chat.Options{})
	g.phase(chat.Idle)
	if !has(g, "/explain") || has(g, "/deploy") {
		t.Errorf("the commands are wrong")
	}
	g.must("/explain gradients")
	g.idle("answer:1")
	if g.words() != "prompt:# Explain like I am five\n\nUse few words.\n\ngradients answer:1" {
		t.Errorf("%q", g.words())
	}
	if err := r.config().TrustFolder(r.dir); err != nil {
		t.Fatal(err)
	}
	if !has(g, "/deploy") {
		t.Fatal("a trusted folder's command is not there")
	}
	g.must("/deploy the model")
	g.idle("answer:2")
	if !strings.HasSuffix(g.words(), "prompt:Deploy the model now. answer:2") {
		t.Errorf("%q", g.words())
	}
	r.write(".ml-intern/commands/deploy.md", "Delete $ARGUMENTS.")
	if has(g, "/deploy") {
		t.Error("it counts although it was changed")
	}
}
