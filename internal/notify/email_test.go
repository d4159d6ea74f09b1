package notify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ml-intern/internal/notify"
)

// A mailServer speaks SMTP on loopback, with STARTTLS and AUTH PLAIN.
type mailServer struct {
	host  string
	port  int
	roots *x509.CertPool
	say   map[string]string // instead of the usual answer, by the first word of a line; "hang", "cut" and "flood" are no answers
	plain bool              // offers no STARTTLS

	mu    sync.Mutex
	mails []string
	lines []string
	tls   []bool // of each line: was it by TLS
}

func newMailServer(t *testing.T, implicit bool) *mailServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{host: "127.0.0.1", roots: x509.NewCertPool(), say: map[string]string{}}
	s.roots.AddCert(cert)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				if implicit {
					c = tls.Server(c, config)
				}
				s.serve(c, config, implicit)
			})
		}
	})
	return s
}

func (s *mailServer) serve(c net.Conn, config *tls.Config, secure bool) {
	r := bufio.NewReader(c)
	answer := func(word, usual string) bool {
		s.mu.Lock()
		if own, ok := s.say[word]; ok {
			usual = own
		}
		s.mu.Unlock()
		switch usual {
		case "hang":
			_, _ = io.Copy(io.Discard, r)
			return false
		case "cut":
			return false
		case "flood":
			_, _ = io.CopyN(c, endless{}, 64<<20)
			return false
		}
		_, err := io.WriteString(c, usual+"\r\n")
		return err == nil
	}
	if !answer("HELLO", "220 mail.example ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines, s.tls = append(s.lines, line), append(s.tls, secure)
		s.mu.Unlock()
		word, _, _ := strings.Cut(strings.ToUpper(line), " ")
		usual := "250 fine"
		switch word {
		case "EHLO":
			usual = "250-mail.example\r\n250 AUTH PLAIN"
			s.mu.Lock()
			if !secure && !s.plain {
				usual = "250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN"
			}
			s.mu.Unlock()
		case "STARTTLS":
			if !answer(word, "220 go") {
				return
			}
			c, secure = tls.Server(c, config), true
			r = bufio.NewReader(c)
			continue
		case "AUTH":
			usual = "235 fine"
		case "DATA":
			if !answer(word, "354 go") {
				return
			}
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			s.mu.Lock()
			s.mails = append(s.mails, b.String())
			s.mu.Unlock()
			word = "."
		case "QUIT":
			_ = answer(word, "221 bye")
			return
		}
		if !answer(word, usual) {
			return
		}
	}
}

// answers has the server give another answer.
func (s *mailServer) answers(word, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say[word] = answer
}

// offersTLS says whether it does.
func (s *mailServer) offersTLS(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plain = !yes
}

// heard is what was said so far, whether by TLS, and the mails.
func (s *mailServer) heard() (lines []string, tls []bool, mails []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines), slices.Clone(s.tls), slices.Clone(s.mails)
}

func (s *mailServer) email(security string) notify.Email {
	return notify.Email{
		Host: s.host, Port: s.port, Security: security, Roots: s.roots, User: "me", Password: "mail-password-1",
		From: "ML Intern <bot@example.com>", To: []string{"me@example.com", "Jörg <you@example.com>"},
	}
}

// A message is a mail that a mail program reads, sent by TLS with a login.
func TestEmail(t *testing.T) {
	t.Parallel()
	for _, security := range []string{notify.StartTLS, notify.TLS} {
		s := newMailServer(t, security == notify.TLS)
		m := message()
		m.Title, m.Session = "Fertig: größer 🎉 "+strings.Repeat("ü", 60), "s1"
		m.Text = "Ergebnis: 0.93 ± 0.01\n.\n.hidden\nFrom here " + strings.Repeat("long ", 50)
		if err := s.email(security).Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		lines, secure, mails := s.heard()
		got, err := mail.ReadMessage(strings.NewReader(mails[0]))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
		if want := "ml-intern: [SUCCESS] " + m.Title; err != nil || subject != want {
			t.Errorf("subject %q, want %q (%v)", subject, want, err)
		}
		if id := got.Header.Get("Message-Id"); id != "<msg_1@example.com>" {
			t.Errorf("message id %s", id)
		}
		if at, err := got.Header.Date(); err != nil || at.Unix() != m.Time.Unix() {
			t.Errorf("date %v %v", at, err)
		}
		if to, err := got.Header.AddressList("To"); err != nil || len(to) != 2 || to[1].Name != "Jörg" {
			t.Errorf("to %v %v", to, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(got.Body))
		if want := m.Text; err != nil || !strings.Contains(strings.ReplaceAll(string(text), "\r\n", "\n"), strings.TrimSpace(want)) || !strings.Contains(string(text), "session_id: s1") {
			t.Errorf("text %q (%v)", text, err)
		}
		for line := range strings.Lines(mails[0]) {
			if len(line) > 80 && !strings.HasPrefix(line, "Subject") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("a line that some servers refuse: %q", line)
			}
		}
		for i, line := range lines {
			if !secure[i] && !strings.HasPrefix(line, "EHLO") && line != "STARTTLS" {
				t.Errorf("said in the clear: %s", line)
			}
		}
		login := base64.StdEncoding.EncodeToString([]byte("\x00me\x00mail-password-1"))
		if !strings.Contains(strings.Join(lines, "\n"), "AUTH PLAIN "+login) || !strings.Contains(strings.Join(lines, "\n"), "RCPT TO:<you@example.com>") {
			t.Errorf("%q", lines)
		}
	}
}

// A server that offers no TLS, or the certificate of another one, is told nothing.
func TestEmailNeedsTLS(t *testing.T) {
	t.Parallel()
	s := newMailServer(t, false)
	s.offersTLS(false)
	e := s.email(notify.StartTLS)
	err := e.Send(t.Context(), message())
	if err == nil || !strings.Contains(err.Error(), "no STARTTLS") {
		t.Errorf("%v", err)
	}
	s.offersTLS(true)
	e.Roots = x509.NewCertPool()
	if err = e.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "certificate") || err.(*notify.Failure).Again {
		t.Errorf("%v", err)
	}
	e.Security = notify.NoTLS
	if err = e.Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "not sent without TLS") {
		t.Errorf("%v", err)
	}
	lines, _, mails := s.heard()
	if all := strings.Join(lines, "\n"); strings.Contains(all, "AUTH") || strings.Contains(all, "MAIL") || len(mails) > 0 {
		t.Errorf("said %q", lines)
	}
	e.User, e.Password = "", ""
	err = e.Send(t.Context(), message())
	if _, _, mails = s.heard(); err != nil || len(mails) != 1 {
		t.Errorf("a server of this machine, without a password: %v", err)
	}
}

// What the server says decides whether it is tried again; a mail whose answer
// got lost is not.
func TestEmailAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		word, answer string
		again, doubt bool
	}{
		"busy":            {"HELLO", "421 busy", true, false},
		"greylisted":      {"RCPT", "451 later", true, false},
		"no such mailbox": {"RCPT", "550 unknown", false, false},
		"wrong password":  {"AUTH", "535 no", false, false},
		"too big":         {".", "552 too big", false, false},
		"full":            {".", "452 full", true, false},
		"answer lost":     {".", "cut", true, true},
		"cut before":      {"DATA", "cut", true, false},
		"flood":           {"HELLO", "flood", false, false},
	} {
		s := newMailServer(t, false)
		s.answers(c.word, c.answer)
		err := s.email(notify.StartTLS).Send(t.Context(), message())
		f, ok := err.(*notify.Failure)
		if !ok || f.Again != c.again || f.Doubt != c.doubt {
			t.Errorf("%s: %#v", name, err)
		}
		if ok && strings.Contains(f.Error(), "mail-password-1") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A header cannot be put into a mail by what a message or the configuration says.
func TestEmailHeaders(t *testing.T) {
	t.Parallel()
	s := newMailServer(t, false)
	m := message()
	m.Title = "x\r\nBcc: all@example.com\r\n\r\nbody\u2028Bcc: b@example.com"
	if err := s.email(notify.StartTLS).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	_, _, mails := s.heard()
	got, err := mail.ReadMessage(strings.NewReader(mails[0]))
	if err != nil || got.Header.Get("Bcc") != "" {
		t.Errorf("%v %q", err, mails[0])
	}
	for _, bad := range []string{"a@b\r\nBcc: c@d", "nobody", "", "a@b>\r\nRCPT TO:<c@d"} {
		e := s.email(notify.StartTLS)
		e.To = []string{bad}
		if err := e.Send(t.Context(), message()); err == nil {
			t.Errorf("%q was sent to", bad)
		}
		e = s.email(notify.StartTLS)
		e.From = bad
		if err := e.Send(t.Context(), message()); err == nil {
			t.Errorf("%q was sent from", bad)
		}
	}
	if lines, _, mails := s.heard(); len(mails) != 1 {
		t.Errorf("%d mails: %s", len(mails), lines)
	}
}

// A server that says nothing more is not waited for longer than is asked.
func TestEmailHangs(t *testing.T) {
	t.Parallel()
	for word, doubt := range map[string]bool{"HELLO": false, "STARTTLS": false, "RCPT": false, ".": true} {
		s := newMailServer(t, false)
		s.answers(word, "hang")
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		start := time.Now()
		err := s.email(notify.StartTLS).Send(ctx, message())
		cancel()
		f, ok := err.(*notify.Failure)
		if !ok || !f.Again || !strings.Contains(f.Text, "no answer in time") || f.Doubt && !doubt || time.Since(start) > 50*time.Second {
			t.Errorf("%s: after %v: %v", word, time.Since(start), err)
		}
	}
}
