package notify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// httpTimeout is how long one try may take.
const httpTimeout = 10 * time.Second

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// A Webhook posts messages as JSON, signed as the Standard Webhooks say, so that
// their libraries verify it.
type Webhook struct {
	URL    string
	Secret string            // whsec_ with base64 after it, or the bytes themselves
	Via    http.RoundTripper // which refuses the addresses that the person did not write
}

// SigningKey is the key that a secret stands for.
func SigningKey(secret string) ([]byte, error) {
	coded, ok := strings.CutPrefix(secret, "whsec_")
	if !ok {
		return []byte(secret), nil
	}
	key, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	return key, nil
}

// Sign is the signature of a body that is sent at a time.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Send implements Sender.
func (h Webhook) Send(ctx context.Context, m Message) error {
	key, err := SigningKey(h.Secret)
	if err != nil {
		return &Failure{Text: err.Error()}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return &Failure{Text: fmt.Sprintf("write message: %v", err)}
	}
	now := time.Now()
	header := http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {m.ID}, "Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {Sign(key, m.ID, now, body)},
	}
	_, err = post(ctx, h.Via, h.URL, header, body)
	return err
}

// post sends a body and returns the beginning of the answer. Redirects are not
// followed: what is sent is not meant for whoever they lead to.
func post(ctx context.Context, via http.RoundTripper, address string, header http.Header, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, &Failure{Text: "its address is none"} // the error would show all of it
	}
	req.Header = header
	req.Header.Set("User-Agent", "ml-intern")
	if via == nil {
		via = http.DefaultTransport
	}
	resp, err := via.RoundTrip(req)
	if err != nil {
		return nil, unanswered(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return nil, &Failure{Text: fmt.Sprintf("it redirects to %s, which is not followed: give that address itself if it is meant", hostOf(req.URL, resp.Header.Get("Location")))}
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if f := status(resp.StatusCode, resp.Header.Get("Retry-After")); f != nil {
		return answer, f
	}
	if err != nil {
		return answer, unanswered(err)
	}
	return answer, nil
}

// hostOf is the host that a redirect leads to: the rest may be secret.
func hostOf(from *url.URL, location string) string {
	to, err := from.Parse(location)
	if err != nil {
		return "an address that is none"
	}
	return cmp.Or(oneLine(shorten(to.Host, 100)), "nowhere")
}
