// Package fetchtest is a small web on loopback: every host under its true name,
// with a certificate, behind a proxy that a program finds in its environment.
//
// Its one rule: nothing that is asked of it leaves the machine.
package fetchtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A Web is hosts by name. It ends with its test.
type Web struct {
	Proxy string // its address

	bundle string // file of the certificate that all others hang on
	ca     tls.Certificate
	server *http.Server
	tunnel *queue

	mu     sync.Mutex
	hosts  map[string]http.Handler
	seen   []Seen
	leaves map[string]*tls.Certificate
}

// A Seen is a request that came.
type Seen struct {
	Host   string // and port, if it is not that of the scheme
	URI    string
	Method string
	Header http.Header
	Body   string
	Secure bool // it came by https
}

// New starts a web without hosts.
func New(t testing.TB) *Web {
	t.Helper()
	w := &Web{hosts: map[string]http.Handler{}, leaves: map[string]*tls.Certificate{}, tunnel: &queue{conns: make(chan net.Conn), done: make(chan struct{})}}
	w.bundle = filepath.Join(t.TempDir(), "ca.pem")
	if err := w.authority(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.Proxy = "http://" + l.Addr().String()
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: time.Minute}
	go w.server.Serve(l)
	go w.server.Serve(w.tunnel)
	t.Cleanup(func() { w.server.Close() })
	return w
}

// Handle lets a host, by its name without a port, answer.
func (w *Web) Handle(host string, h http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[host] = h
}

// Listen lets the hosts be reached at an address without the proxy, too.
func (w *Web) Listen(t testing.TB, address string, secure bool) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		l = tls.NewListener(l, w.config())
	}
	go w.server.Serve(l)
}

// Environ are the variables with which a program finds the web.
func (w *Web) Environ() []string {
	return []string{"HTTPS_PROXY=" + w.Proxy, "HTTP_PROXY=" + w.Proxy, "SSL_CERT_FILE=" + w.bundle}
}

// Seen lists the requests to a host, or all if it is "".
func (w *Web) Seen(host string) []Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.seen), func(s Seen) bool { return host != "" && s.Host != host })
}

// ServeHTTP is the proxy and every host.
func (w *Web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		w.connect(rw)
		return
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	w.mu.Lock()
	w.seen = append(w.seen, Seen{r.Host, r.URL.RequestURI(), r.Method, r.Header.Clone(), string(body), r.TLS != nil})
	h := w.hosts[name]
	w.mu.Unlock()
	if h == nil {
		http.Error(rw, "no host "+name+" in this web", http.StatusBadGateway)
		return
	}
	r.URL.Scheme, r.URL.Host = "", ""
	r.RequestURI = r.URL.RequestURI()
	h.ServeHTTP(rw, r)
}

// connect ends the tunnel here, with a certificate of the host that is wanted.
func (w *Web) connect(rw http.ResponseWriter) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		conn.Close()
		return
	}
	w.tunnel.push(tls.Server(conn, w.config()))
}

func (w *Web) config() *tls.Config {
	return &tls.Config{NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return w.leaf(hello.ServerName)
	}}
}

func (w *Web) authority() error {
	cert, der, err := issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, Subject: pkix.Name{CommonName: "fetchtest"}}, nil)
	if err != nil {
		return err
	}
	w.ca = *cert
	return os.WriteFile(w.bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}

func (w *Web) leaf(host string) (*tls.Certificate, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.leaves[host]; c != nil {
		return c, nil
	}
	c, _, err := issue(&x509.Certificate{DNSNames: []string{host}, Subject: pkix.Name{CommonName: host}}, &w.ca)
	w.leaves[host] = c
	return c, err
}

// issue signs a certificate, with its own key if by is nil.
func issue(template *x509.Certificate, by *tls.Certificate) (*tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := template, any(key)
	if by != nil {
		if parent, err = x509.ParseCertificate(by.Certificate[0]); err != nil {
			return nil, nil, fmt.Errorf("read certificate: %w", err)
		}
		signer = by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, der, nil
}

// A queue is a listener of connections that were made elsewhere.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (q *queue) push(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
