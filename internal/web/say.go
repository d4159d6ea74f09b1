package web

import (
	"fmt"
	"net/http"
	"strings"

	"ml-intern/internal/chat"
	"ml-intern/internal/llm"
	"ml-intern/internal/session"
)

func checkPrompt(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return bad("the prompt is empty")
	case strings.ContainsRune(text, 0):
		return bad("the prompt has a NUL character")
	case len(text) > maxPrompt:
		return fail(http.StatusRequestEntityTooLarge, "too_large", "the prompt has %d bytes, more than %d: put long text into a file of the folder", len(text), maxPrompt)
	}
	return nil
}

// isCommand reports whether a prompt is a command of the chat. A path is none.
func isCommand(text string) bool {
	return strings.HasPrefix(text, "/") && !strings.Contains(strings.Fields(text)[0][1:], "/")
}

func (s *server) prompt(w http.ResponseWriter, r *http.Request) error {
	in, err := read[struct {
		Text  string `json:"text"`
		Steer bool   `json:"steer"`
	}](w, r)
	if err != nil {
		return err
	}
	if err := checkPrompt(in.Text); err != nil {
		return err
	}
	text := strings.TrimSpace(in.Text)
	if isCommand(text) {
		if err := notHere(text); err != nil {
			return err
		}
	}
	return s.use(r.PathValue("id"), func(_ *room, c *chat.Chat) error {
		switch {
		case isCommand(text):
			return s.command(w, c, text)
		case in.Steer:
			c.Steer(in.Text)
		default:
			c.Say(in.Text)
		}
		return accepted(w)
	})
}

func accepted(w http.ResponseWriter) error {
	write(w, http.StatusAccepted, struct{}{})
	return nil
}

// notHere refuses the commands that a page has other ways for.
func notHere(text string) error {
	words := strings.Fields(text)
	instead := map[string]string{
		"/new": "begin a session: POST /api/sessions", "/sessions": "GET /api/sessions?q=WORDS", "/resume": "open it: POST a prompt to it, or continue",
		"/fork": "POST …/fork", "/quit": "close the page: nothing ends by that", "/theme": "the page has its own",
		"/memory": "edit the files in any editor", "/paste": "save the picture in the folder, and name it with @ in the prompt",
		"/export": "GET …/export?format=md, html or jsonl",
	}[words[0]]
	if words[0] == "/rewind" && len(words) > 2 && words[2] != "files" {
		instead = fmt.Sprintf("here files alone are brought back: /rewind %.20s files; the conversation goes on in a copy: POST …/fork {\"at\": %.20s}", words[1], words[1])
	}
	if words[0] == "/export" && len(words) > 2 { // into a file of the folder
		instead = ""
	}
	if instead == "" {
		return nil
	}
	f := refused("%s is for a terminal", words[0])
	f.hint = instead
	return f
}

// command does what a line says and answers with what it brought.
func (s *server) command(w http.ResponseWriter, c *chat.Chat, line string) error {
	r, err := c.Command(line)
	if err != nil {
		return unready(err)
	}
	type item struct {
		ID     string `json:"id"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	type pick struct {
		Title string `json:"title"`
		Items []item `json:"items"`
		Then  string `json:"then"`
	}
	out := struct {
		Text     string `json:"text"`
		Pick     *pick  `json:"pick"`
		SubAgent string `json:"sub_agent,omitempty"`
	}{Text: r.Text, SubAgent: r.SubAgent}
	if r.Pick != nil {
		out.Pick = &pick{Title: r.Pick.Title, Items: []item{}, Then: r.Pick.Then}
		for _, i := range r.Pick.Items {
			if notHere(r.Pick.Then+" "+i.ID) == nil {
				out.Pick.Items = append(out.Pick.Items, item(i))
			}
		}
	}
	write(w, http.StatusOK, out)
	return nil
}

// nothing reads a request that says nothing.
func nothing(w http.ResponseWriter, r *http.Request) error {
	_, err := read[struct{}](w, r)
	return err
}

func (s *server) stop(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	if err := s.exists(r, r.PathValue("id")); err != nil {
		return err
	}
	return s.lend(r.PathValue("id"), false, func(_ *room, c *chat.Chat) error {
		c.Stop()
		return accepted(w)
	})
}

func (s *server) unqueue(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	if err := s.exists(r, r.PathValue("id")); err != nil {
		return err
	}
	return s.lend(r.PathValue("id"), false, func(_ *room, c *chat.Chat) error {
		write(w, http.StatusOK, map[string]string{"text": c.Unqueue()})
		return nil
	})
}

// goOn goes on where the log ends.
func (s *server) goOn(w http.ResponseWriter, r *http.Request) error {
	if err := nothing(w, r); err != nil {
		return err
	}
	return s.use(r.PathValue("id"), func(_ *room, c *chat.Chat) error {
		if now := c.Now(); now.Held && len(now.Queue) > 0 && now.Interrupted == "" { // a prompt that was not said
			c.Say("")
			return accepted(w)
		}
		if c.Busy() { // one that waits for jobs goes on by itself
			return accepted(w)
		}
		if _, err := c.Command("/retry"); err != nil {
			return conflict("%s", failureOf(err).message)
		}
		return accepted(w)
	})
}

// settings are what a person sets for the rest of a session; "" leaves it as it is.
type settings struct {
	Title  string `json:"title"`
	Model  string `json:"model"`
	Effort string `json:"effort"`
	Mode   string `json:"mode"`
}

// set sets them, one after the other; the words of all are looked at first.
func set(c *chat.Chat, in settings) error {
	for _, word := range []string{in.Model, in.Effort, in.Mode} {
		if strings.ContainsAny(word, " \t\r\n\x00") {
			return refused("there is no model, effort or mode %.60q", word)
		}
	}
	for _, one := range []struct{ command, value string }{{"/model", in.Model}, {"/effort", in.Effort}, {"/approve", in.Mode}, {"/rename", in.Title}} {
		if one.value == "" {
			continue
		}
		if _, err := c.Command(one.command + " " + one.value); err != nil {
			return unready(err)
		}
	}
	return nil
}

func (s *server) change(w http.ResponseWriter, r *http.Request) error {
	in, err := read[settings](w, r)
	if err != nil {
		return err
	}
	if in == (settings{}) {
		return bad("say what to change: title, model, effort or mode")
	}
	id := r.PathValue("id")
	if in == (settings{Title: in.Title}) && !s.isOpen(id) { // which starts nothing
		if err := s.exists(r, id); err != nil {
			return err
		}
		if _, _, err := s.library.Rename(r.Context(), id, in.Title); err != nil {
			return err
		}
		write(w, http.StatusOK, map[string]any{"state": nil})
		return nil
	}
	return s.use(id, func(_ *room, c *chat.Chat) error {
		if err := set(c, in); err != nil {
			return err
		}
		now := c.Now()
		write(w, http.StatusOK, map[string]any{"state": stateOf(&now)})
		return nil
	})
}

func (s *server) isOpen(id string) bool {
	r := s.look(id)
	return r != nil && r.isOpen()
}

// firstPrompt says the first prompt of a session, or what a command makes one of.
func firstPrompt(c *chat.Chat, text string) error {
	switch line := strings.TrimSpace(text); {
	case strings.HasPrefix(line, "!"):
		return refused("a session begins with a prompt, not with a command of yours")
	case isCommand(line):
		if err := notHere(line); err != nil {
			return err
		}
		if _, err := c.Command(line); err != nil {
			return unready(err)
		}
		if !c.Busy() {
			return refused("%.60s says no prompt: a session begins with one", line)
		}
	default:
		c.Say(text)
	}
	return nil
}

// efforts are what the model can be told of how hard to think.
func efforts() []string { return append([]string{session.DefaultEffort}, llm.Efforts()...) }
