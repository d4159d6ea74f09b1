package ray

import (
	"context"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"ml-intern/internal/job"
)

// Whatever Ray is given with a job it shows to everybody: in its API, on its
// dashboard, in the job's environment. So a job is sent without its secrets.
// When its shim runs, it makes a key of X25519 that never leaves its memory,
// says the public half in key.json, and waits. Whoever looks at the job here
// then seals the values for that key and has a second job, the courier, put
// them beside it: what Ray and its nodes see of them nobody else can open.
//
// Who may run jobs on a cluster can also read the memory of others there. From
// those Ray has no protection, and this adds none.

const (
	maxSecrets = 16 << 10 // of all values; sealed they are an argument of the courier's
	couriers   = 3        // that may fail
	bringWait  = 20 * time.Second
)

// A shimKey is key.json.
type shimKey struct {
	Key    string `json:"key"`    // public, in hex
	Folder string `json:"folder"` // where the shim waits for the values
}

func (b Backend) secret(name string) (string, bool) {
	if b.Secret != nil {
		return b.Secret(name)
	}
	return os.LookupEnv(name)
}

// secrets are the values that a job is to get.
func (b Backend) secrets(names []string) (map[string]string, error) {
	values := map[string]string{}
	size := 0
	for _, name := range names {
		value, ok := b.secret(name)
		if !ok || value == "" {
			return nil, fmt.Errorf("the job needs the secret %s, which is not set here, or none of job_secrets in the configuration", name)
		}
		if strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("the secret %s holds a NUL byte, which no variable can", name)
		}
		values[name] = value
		size += len(name) + len(value)
	}
	if size > maxSecrets {
		return nil, fmt.Errorf("the job's secrets are %d bytes, more than the %d that can be brought to a Ray cluster", size, maxSecrets)
	}
	return values, nil
}

// bring sees to it that a job whose shim waits for its secrets gets them. It
// may be called again, by any process.
func (b Backend) bring(ctx context.Context, rec job.Record) error {
	var key shimKey
	if found, _, err := b.shimFile(ctx, rec, "key.json", &key); err != nil || !found {
		return err
	}
	values, err := b.secrets(rec.Spec.Secrets)
	if err != nil {
		return fmt.Errorf("bring job %s its secrets: %w", rec.ID, err)
	}
	for n := range couriers {
		ref := courierOf(rec, n)
		info, err := b.job(ctx, ref)
		switch {
		case errors.Is(err, errNoJob):
			return b.sendCourier(ctx, rec, ref, key, values)
		case err != nil:
			return fmt.Errorf("bring job %s its secrets: %w", rec.ID, err)
		case info.Status != "FAILED" && info.Status != "STOPPED":
			return nil // it is on its way
		}
	}
	return fmt.Errorf("bring job %s its secrets: Ray could not run what brings them; see %s there", rec.ID, courierOf(rec, couriers-1))
}

func courierOf(rec job.Record, n int) string { return fmt.Sprintf("%s-courier-%d", refOf(rec), n) }

// sendCourier starts the job that puts sealed values on the job's node.
func (b Backend) sendCourier(ctx context.Context, rec job.Record, ref string, key shimKey, values map[string]string) error {
	sealed, err := seal(key.Key, refOf(rec), values)
	if err != nil {
		return fmt.Errorf("seal the secrets of job %s: %w", rec.ID, err)
	}
	nodes, err := b.nodes(ctx)
	if err != nil {
		return fmt.Errorf("bring job %s its secrets: %w", rec.ID, err)
	}
	place := ""
	for _, n := range nodes {
		if n.ID == rec.Kept[keptNode] {
			place = n.place()
		}
	}
	if place == "" {
		return nil // the node is gone, and with it the job
	}
	to := quote(key.Folder + "/sealed.json")
	body, err := json.Marshal(request{
		ID: ref, Resources: map[string]float64{place: 0.001}, RuntimeEnv: map[string]any{},
		Entrypoint: "umask 077; printf %s " + quote(string(sealed)) + " >" + to + ".part && mv " + to + ".part " + to,
		Metadata:   map[string]string{"job_name": "sealed secrets for " + rec.ID},
	})
	if err != nil {
		return fmt.Errorf("write the request for %s: %w", ref, err)
	}
	err = b.once(ctx, http.MethodPost, "/api/jobs/", body, nil)
	if err == nil {
		return nil
	}
	if _, lookErr := b.job(ctx, ref); lookErr == nil { // somebody else was quicker
		return nil
	}
	return fmt.Errorf("bring job %s its secrets: %w", rec.ID, err)
}

// quote is a text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// dismiss removes what Ray remembers of couriers, which is no loss if it cannot.
func (b Backend) dismiss(ctx context.Context, rec job.Record) {
	for n := range couriers {
		var status *statusError
		if err := b.once(ctx, http.MethodDelete, "/api/jobs/"+courierOf(rec, n), nil, nil); errors.As(err, &status) {
			return
		}
	}
}

// A sealedBox is what the courier brings, all in hex: our public key for this
// once, the values as JSON under a keystream, and what proves that they are ours.
type sealedBox struct {
	Key  string `json:"key"`
	Text string `json:"text"`
	Tag  string `json:"tag"`
}

// seal encrypts values for the one who has the other half of a key. Python's
// standard library has hashes and no cipher, so the keystream is SHAKE-256 of a
// key that is used once, and the tag is HMAC-SHA-256 of the text.
func seal(public, ref string, values map[string]string) ([]byte, error) {
	raw, err := hex.DecodeString(public)
	if err != nil {
		return nil, fmt.Errorf("read the job's key: %w", err)
	}
	theirs, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return nil, fmt.Errorf("read the job's key: %w", err)
	}
	ours, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	point, err := ours.ECDH(theirs)
	if err != nil {
		return nil, fmt.Errorf("use the job's key: %w", err)
	}
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	both := ref + " " + public + " " + hex.EncodeToString(ours.PublicKey().Bytes())
	stream := sha3.SumSHAKE256(digest(point, "stream "+both), len(text))
	subtle.XORBytes(text, text, stream)
	return json.Marshal(sealedBox{
		Key:  hex.EncodeToString(ours.PublicKey().Bytes()),
		Text: hex.EncodeToString(text),
		Tag:  hex.EncodeToString(digest(digest(point, "tag "+both), string(text))),
	})
}

func digest(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
