package egress

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Refusal is something that a command wanted and did not get.
type Refusal struct {
	Time   time.Time
	Method string
	Host   string // NAME:PORT, or "" if it was not understood
	Text   string // one sentence that says what to do
}

// remembered is how many refusals are kept, the newest.
const remembered = 200

type memory struct {
	mu  sync.Mutex
	all []Refusal
}

// Refusals lists what was refused since a time, oldest first: the same sentence
// once. It is for the model, which may not see what the proxy told the command.
func (p *Proxy) Refusals(since time.Time) []Refusal {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	var found []Refusal
	for _, r := range p.memory.all {
		same := func(f Refusal) bool { return f.Text == r.Text }
		if !r.Time.Before(since) && !slices.ContainsFunc(found, same) {
			found = append(found, r)
		}
	}
	return found
}

// remember keeps a refusal and logs it.
func (p *Proxy) remember(method, host, text string) {
	p.memory.mu.Lock()
	if len(p.memory.all) == remembered {
		p.memory.all = slices.Delete(p.memory.all, 0, 1)
	}
	r := Refusal{time.Now(), method, host, text}
	p.memory.all = append(p.memory.all, r)
	p.memory.mu.Unlock()
	if p.Told != nil {
		p.Told(r)
	}
	p.log(Event{Method: method, Host: host, Verdict: Refused})
}

// unreachable is the sentence for a host that is not on the list.
func (p *Proxy) unreachable(t target) string {
	return fmt.Sprintf("the sandbox may not reach %s; %s", t, cmp.Or(p.Advice, "ask the person to add it to network.allow in config.yaml"))
}

// refuse answers with a sentence and remembers it. Text of the request is in
// it only if it was checked.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, host string, status int, text string) {
	p.remember(methodOf(r), host, text)
	answer(w, r, status, text)
}

// methodOf is a request's method if it is a plain word.
func methodOf(r *http.Request) string {
	if len(r.Method) > 20 || strings.Trim(r.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return "?"
	}
	return r.Method
}

// answer says no in the form that the client shows: clients of the Hub read
// JSON and a header, git reads plain text, and of a tunnel that is refused most
// show nothing but the status line.
func answer(w http.ResponseWriter, r *http.Request, status int, text string) {
	h := w.Header()
	h.Set("Connection", "close") // what follows an odd request is not read
	h.Set("Cache-Control", "no-store")
	h.Set("X-Error-Code", "SandboxRefused")
	h.Set("X-Error-Message", text)
	if r.Method == http.MethodConnect && answerLine(w, status, text) {
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		h.Set("Content-Type", "application/json")
		w.WriteHeader(status)
		data, _ := json.Marshal(map[string]string{"error": text}) // a map of strings never fails
		w.Write(data)                                             // a client that is gone cannot be told
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // likewise
}

// answerLine answers with the sentence in the status line.
func answerLine(w http.ResponseWriter, status int, text string) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false
	}
	defer drop(conn)
	if conn.SetDeadline(time.Now().Add(headerTime)) != nil {
		return true
	}
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", status, text, len(text)+1, text)
	_ = closeWrite(conn)
	_, _ = io.CopyN(io.Discard, conn, headerBytes) // else a reset may overtake the answer
	return true
}

// closeWrite ends one direction of a connection that can.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
