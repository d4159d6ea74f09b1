package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A mail server and a library for webhooks that others wrote take what we send.
func TestDoorsNotify(t *testing.T) {
	t.Parallel()
	python := filepath.Join(doors(t), "..", "python", "bin", "python")
	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	other := exec.CommandContext(t.Context(), python, "testdata/doors/notified.py", cert, key, secret)
	other.Stderr = os.Stderr
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait() // it was killed
	})
	lines := bufio.NewScanner(out)
	var ports struct{ Mail, Hook int }
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &ports) != nil {
		t.Fatalf("the other side says %q", lines.Text())
	}
	o := newOwner(t, fmt.Sprintf(`notify:
  destinations:
    hook: {type: webhook, url: "http://127.0.0.1:%d/x", secret: %s}
    mail: {type: email, host: 127.0.0.1, port: %d, username: me, password: mail-password-1, from: "Bot <bot@example.com>", to: [me@example.com]}
`, ports.Hook, secret, ports.Mail))
	o.env = append(o.env, "SSL_CERT_FILE="+cert)
	if said, err := o.run("notify", "test"); err != nil || strings.Count(said, ": sent") != 2 {
		t.Fatalf("%v %s", err, said)
	}
	o.asks() // tells both of the answer
	var got struct {
		mails, hooks []map[string]any
	}
	for range 4 {
		var m map[string]any
		if !lines.Scan() || json.Unmarshal(lines.Bytes(), &m) != nil {
			t.Fatalf("the other side says %q", lines.Text())
		}
		if hook, ok := m["hook"].(map[string]any); ok {
			got.hooks = append(got.hooks, hook)
		} else {
			got.mails = append(got.mails, m)
		}
	}
	if len(got.hooks) != 2 || got.hooks[0]["event"] != "test" || got.hooks[1]["event"] != "turn_complete" || got.hooks[1]["text"] != "done" {
		t.Errorf("%v", got.hooks)
	}
	for _, m := range got.mails {
		if m["tls"] != true || len(m["defects"].([]any)) > 0 || !strings.HasPrefix(m["subject"].(string), "ml-intern: [") || !strings.HasPrefix(m["id"].(string), "<msg_") {
			t.Errorf("%v", m)
		}
	}
	if !strings.HasPrefix(strings.ReplaceAll(got.mails[1]["mail"].(string), "\r\n", "\n"), "done\n") {
		t.Errorf("%v", got.mails[1])
	}
}

// selfSigned writes a certificate of 127.0.0.1 and its key.
func selfSigned(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}
