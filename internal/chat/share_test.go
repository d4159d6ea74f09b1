package chat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ml-intern/internal/app"
	"ml-intern/internal/approval"
	"ml-intern/internal/chat"
	"ml-intern/internal/hub"
	"ml-intern/internal/hub/hubserver"
	"ml-intern/internal/hub/hubtest"
)

// sharing gives a command while the updates are read, and answers the question
// that it puts, if there is one.
func (g *guest) sharing(line string, answer *approval.Decision) (asked *approval.Request, text string, err error) {
	g.t.Helper()
	type outcome struct {
		chat.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := g.Command(line)
		done <- outcome{r, err}
	}()
	for {
		select {
		case u, ok := <-g.updates:
			if !ok {
				g.t.Fatalf("%s: the chat ended", line)
			}
			g.note(u)
			if u.Ask == nil {
				continue
			}
			asked = &u.Ask.Requests[0]
			if answer == nil {
				g.Stop()
				continue
			}
			u.Ask.Answer([]approval.Decision{*answer})
		case o := <-done:
			return asked, o.Text, o.err
		}
	}
}

// In every mode a person is shown what would leave, and asked.
func TestShare(t *testing.T) {
	t.Parallel()
	const token = "token-of-alice-0123456789"
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{token: {Name: "alice"}}})
	client := &hub.Client{BaseURL: h.URL, Token: token}
	repo := hub.RepoID{Type: hub.Dataset, Namespace: "alice", Name: "ml-intern-sessions"}
	there := func() (exists bool) {
		t.Helper()
		exists, err := client.RepoExists(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		return exists
	}
	r := newRoom(t, say("It is "+token+"."), say("More."))
	enter := func(mode string, env ...string) *guest {
		cfg := r.config(env...)
		cfg.Approve = mode
		cfg.FromFlag("approve")
		g, err := r.tryEnter(cfg, chat.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	account := []string{"HF_ENDPOINT=" + h.URL, "HF_TOKEN=" + token}
	g := enter("auto", account...)
	if _, _, err := g.sharing("/share", nil); err == nil || !strings.Contains(err.Error(), "no session yet") {
		t.Errorf("before anything was said: %v", err)
	}
	g.say("what is my token?")
	if _, _, err := g.sharing("/share now", &yes); app.Classify(err).Code != 2 {
		t.Errorf("got %v", err)
	}
	asked, text, err := g.sharing("/share preview", &yes)
	if err != nil || asked != nil || !strings.Contains(text, h.URL+"/datasets/alice/ml-intern-sessions") || !strings.Contains(text, "Nothing was sent") || strings.Contains(text, token) {
		t.Errorf("%v, %v\n%s", err, asked, text)
	}
	if asked, _, err = g.sharing("/share", &no); err == nil || asked == nil || !strings.Contains(asked.Show, "you alone") || asked.Impact.Repo != repo.String() || there() {
		t.Errorf("a no: %v, %+v", err, asked)
	}
	if _, _, err = g.sharing("/share", nil); err == nil || there() {
		t.Errorf("stopped: %v", err)
	}
	g.phase(chat.Idle)
	if asked, _, err = g.sharing("/share public", &yes); err == nil || asked != nil || !strings.Contains(err.Error(), "nothing is made public") || there() {
		t.Errorf("public in auto: %v", err)
	}
	if asked, text, err = g.sharing("/share", &yes); err != nil || asked == nil || !strings.Contains(text, "Shared, private:\n\n"+h.URL) || !there() {
		t.Errorf("a yes: %v\n%s", err, text)
	}
	if asked, text, err = g.sharing("/share private", &yes); err != nil || asked != nil || !strings.Contains(text, "Nothing has changed") {
		t.Errorf("again: %v\n%s", err, text)
	}
	if asked, _, err = g.sharing("/share delete", &yes); err == nil || asked != nil || !strings.Contains(err.Error(), "nothing is deleted") {
		t.Errorf("delete in auto: %v", err)
	}
	if _, text, err = g.sharing("/share off", &yes); err != nil || !strings.Contains(text, "stays in "+h.URL) {
		t.Errorf("off: %v\n%s", err, text)
	}
	g.must("/approve ask")
	if asked, _, err = g.sharing("/share public", &no); err == nil || asked == nil || !asked.Impact.Public || !strings.Contains(asked.Show, "everyone") {
		t.Errorf("public in ask: %v, %+v", err, asked)
	}
	if info, err := client.RepoInfo(t.Context(), repo, ""); err != nil || !info.Private {
		t.Error("it is public without a yes", err)
	}
	if asked, text, err = g.sharing("/share delete", &yes); err != nil || asked == nil || !asked.Impact.Deletes || !strings.Contains(text, "out of") {
		t.Errorf("delete: %v\n%s", err, text)
	}
	if asked, text, err = g.sharing("/share public", &yes); err != nil || asked == nil || !strings.Contains(text, "Shared, public") {
		t.Errorf("public: %v\n%s", err, text)
	}
	if info, err := client.RepoInfo(t.Context(), repo, ""); err != nil || info.Private {
		t.Error("it is private", err)
	}
	g.Say("and a longer one") // states of the last command may still be on their way, so the turn is known by its words
	g.until("the answer", func(u chat.Update) bool {
		return u.Event != nil && u.Event.Reply != nil && u.Event.Reply.Message.Text() == "More."
	})
	for g.Busy() {
		g.until("the end of the turn", func(chat.Update) bool { return true })
	}
	if asked, _, err = g.sharing("/share", &yes); err == nil || asked != nil || !strings.Contains(err.Error(), "everyone can see alice/ml-intern-sessions") {
		t.Errorf("into a public one: %v", err)
	}
	if asked, _, err = g.sharing("/share private", &yes); err != nil || !strings.Contains(asked.Show, "is public now and becomes private") {
		t.Errorf("private again: %v", err)
	}
	if info, err := client.RepoInfo(t.Context(), repo, ""); err != nil || !info.Private {
		t.Error("it is public", err)
	}

	if _, err := g.do("/plan"); err != nil {
		t.Errorf("after all that: %v", err)
	}
	alone := newRoom(t, say("Hello."))
	r.server = alone.server
	stranger := enter("ask", "HF_HOME="+t.TempDir())
	stranger.say("hello")
	if _, _, err := stranger.sharing("/share", &yes); app.Classify(err).Code != 4 || !strings.Contains(err.Error(), "nothing was sent") {
		t.Errorf("a stranger: %v", err)
	}
}

// A session goes by itself when its person leaves it, if their configuration
// says so.
func TestShareByItself(t *testing.T) {
	t.Parallel()
	const token = "token-of-alice-0123456789"
	h := hubtest.StartWith(t, hubserver.Options{Auth: true, Tokens: map[string]hubserver.Account{token: {Name: "alice"}}})
	r := newRoom(t, say("Hello."), say("More."))
	file := filepath.Join(r.home, "config", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("share: {visibility: private, automatic: true}\nrules: [{verdict: deny, tool: nothing}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	account := []string{"HF_ENDPOINT=" + h.URL, "HF_TOKEN=" + token}
	g, err := r.tryEnter(r.config(account...), chat.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g.say("hello")
	g.close()
	if left := strings.Join(g.Left(), "\n"); !strings.Contains(left, "shared the session, as your configuration says: "+h.URL+"/datasets/alice/ml-intern-sessions") {
		t.Errorf("left: %s", left)
	}
	notes, err := filepath.Glob(filepath.Join(r.home, "*", "shares", "*.json"))
	if err != nil || len(notes) != 1 {
		t.Fatal(notes, err)
	}
	if err := os.Remove(notes[0]); err != nil { // as if it had been killed right after it had sent it
		t.Fatal(err)
	}
	if g, err = r.tryEnter(r.config(account...), chat.Options{Continue: true}); err != nil {
		t.Fatal(err)
	}
	if _, text, err := g.sharing("/share", nil); err != nil || !strings.Contains(text, "Nothing has changed") {
		t.Errorf("after a kill: %v\n%s", err, text)
	}
	if _, text, err := g.sharing("/share delete", &yes); err != nil || !strings.Contains(text, "out of") {
		t.Errorf("delete after a kill: %v\n%s", err, text)
	}
	if _, text, err := g.sharing("/share", &yes); err != nil || !strings.Contains(text, "Shared, private") {
		t.Errorf("once more: %v\n%s", err, text)
	}
	g.say("and more")
	g.close()
	if left := strings.Join(g.Left(), "\n"); strings.Contains(left, "shared the session") {
		t.Errorf("it was taken back, and shared once by hand, and went by itself: %s", left)
	}
	if err := os.Remove(notes[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("share: {visibility: private, automatic: true, repo: other}\nrules: [{verdict: deny, tool: share, reason: not from here}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if g, err = r.tryEnter(r.config(account...), chat.Options{Continue: true}); err != nil {
		t.Fatal(err)
	}
	g.close()
	if left := strings.Join(g.Left(), "\n"); !strings.Contains(left, "not shared: not from here") {
		t.Errorf("against a rule: %s", left)
	}
}
