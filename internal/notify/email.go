package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// How a mailbox is reached.
const (
	StartTLS = "starttls" // in the clear until both have agreed on TLS, which is a must
	TLS      = "tls"      // from the first byte on
	NoTLS    = "none"     // to this machine alone, without a password
)

// mailTimeout is how long one try may take.
const mailTimeout = 30 * time.Second

// maxMailAnswer is how much a server may say, with its certificates, in bytes.
const maxMailAnswer = 256 << 10

// An Email sends messages by SMTP. A password goes out by TLS alone.
type Email struct {
	Host     string
	Port     int    // 587, or 465 for TLS, if it is 0
	Security string // StartTLS if empty
	User     string // "" for no login
	Password string
	From     string
	To       []string

	Roots *x509.CertPool // those of the system if nil
}

// Send implements Sender.
func (e Email) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	text, err := e.text(m)
	if err != nil {
		return &Failure{Text: err.Error()}
	}
	security := cmp.Or(e.Security, StartTLS)
	port := e.Port
	if port == 0 {
		port = map[string]int{StartTLS: 587, TLS: 465, NoTLS: 25}[security]
	}
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(e.Host, strconv.Itoa(port)))
	if err != nil {
		return unanswered(err)
	}
	hangUp := func() { _ = raw.Close() } // all was said, or nobody listens
	defer hangUp()
	defer context.AfterFunc(ctx, hangUp)() // a read has no ctx
	config := &tls.Config{ServerName: e.Host, RootCAs: e.Roots, MinVersion: tls.VersionTLS12}
	var conn net.Conn = &bounded{Conn: raw, left: maxMailAnswer}
	if security == TLS {
		conn = tls.Client(conn, config)
	}
	doubt, err := e.talk(conn, security, config, text)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	f := refusedMail(err)
	if _, answered := errors.AsType[*textproto.Error](err); doubt && !answered {
		f.Doubt = true
	}
	return f
}

// talk hands the text over. In doubt, all was said and the answer is missing.
func (e Email) talk(conn net.Conn, security string, config *tls.Config, text []byte) (doubt bool, err error) {
	c, err := smtp.NewClient(conn, e.Host)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close() }() // Quit was said, or it failed
	if security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return false, &Failure{Text: "the server offers no STARTTLS, and nothing is sent without it"}
		}
		if err := c.StartTLS(config); err != nil {
			return false, err
		}
	}
	if e.User != "" {
		if security == NoTLS {
			return false, &Failure{Text: "a password is not sent without TLS"}
		}
		if err := c.Auth(smtp.PlainAuth("", e.User, e.Password, e.Host)); err != nil {
			return false, err
		}
	}
	from, to, err := e.addresses()
	if err != nil {
		return false, err
	}
	if err := c.Mail(from.Address); err != nil {
		return false, err
	}
	for _, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return false, err
		}
	}
	w, err := c.Data()
	if err != nil {
		return false, err
	}
	if _, err := w.Write(text); err != nil {
		return false, err
	}
	if err := w.Close(); err != nil {
		return true, err
	}
	_ = c.Quit() // it is theirs now
	return false, nil
}

// refusedMail is what an error of SMTP means: 4xx may pass, 5xx will not.
func refusedMail(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		return &Failure{Text: fmt.Sprintf("the mail server says %d %s", e.Code, shorten(oneLine(e.Msg), 200)), Again: e.Code >= 400 && e.Code < 500}
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &Failure{Text: oneLine(e.Error())}
	}
	return unanswered(err)
}

func (e Email) addresses() (from *mail.Address, to []*mail.Address, err error) {
	from, err = mail.ParseAddress(e.From)
	if err != nil {
		return nil, nil, &Failure{Text: "from is no address"}
	}
	for _, s := range e.To {
		a, err := mail.ParseAddress(s)
		if err != nil {
			return nil, nil, &Failure{Text: "to has something that is no address"}
		}
		to = append(to, a)
	}
	if len(to) == 0 {
		return nil, nil, &Failure{Text: "to names nobody"}
	}
	return from, to, nil
}

// text is the message as it is sent: plain text, with the same Message-ID
// however often it is tried.
func (e Email) text(m Message) ([]byte, error) {
	from, to, err := e.addresses()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	names := make([]string, len(to))
	for i, a := range to {
		names[i] = a.String()
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	put := func(name, value string) { fmt.Fprintf(&b, "%s: %s\r\n", name, value) }
	put("Date", m.Time.UTC().Format(time.RFC1123Z))
	put("From", from.String())
	put("To", strings.Join(names, ",\r\n "))
	put("Subject", folded("ml-intern: "+m.head()))
	put("Message-ID", "<"+m.ID+"@"+domain+">")
	put("MIME-Version", "1.0")
	put("Content-Type", "text/plain; charset=utf-8")
	put("Content-Transfer-Encoding", "quoted-printable")
	put("Auto-Submitted", "auto-generated")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	body := strings.TrimSpace(m.Text) + "\n\n"
	for _, f := range m.fields() {
		body += f[0] + ": " + f[1] + "\n"
	}
	_, err = w.Write([]byte(body))
	return b.Bytes(), errors.Join(err, w.Close())
}

// folded is the value of a header in words that any mail program reads, in
// lines that are not too long.
func folded(s string) string {
	if coded := mime.QEncoding.Encode("utf-8", s); coded != s {
		return strings.ReplaceAll(coded, "?= =?", "?=\r\n =?")
	}
	return s
}

// A bounded connection reads so many bytes and no more: a server that talks
// without end is not listened to.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &Failure{Text: "the mail server says too much"}
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
