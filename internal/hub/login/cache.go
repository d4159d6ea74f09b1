package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ml-intern/internal/hub"
)

const (
	answerLife = 10 * time.Minute   // an answer is as good as a new one
	answerKeep = 7 * 24 * time.Hour // it is better than none
	maxAnswer  = 1 << 20
)

// A Cache keeps what the Hub said of each token in a folder, because it may be
// asked only rarely. The files are named after a hash of the token.
type Cache struct {
	Dir     string
	Patient bool // what was never answered is asked again when it fails
}

// An Answer is what the Hub said of a token.
type Answer struct {
	Account hub.Account
	Asked   time.Time
	Stale   bool // older than one would like: the Hub could not be asked
}

type answerFile struct {
	Asked   time.Time   `json:"asked"`
	Account hub.Account `json:"account"`
}

// WhoAmI asks whose token the client has, unless it was asked a short while
// ago. A Hub that cannot be asked, or not now, leaves the last answer.
func (c Cache) WhoAmI(ctx context.Context, client *hub.Client) (Answer, error) {
	last, known := c.Peek(client)
	if known && time.Since(last.Asked) < answerLife {
		return last, nil
	}
	ask := client.WhoAmINow
	if c.Patient && !known {
		plain := *client
		plain.Who = nil // it may lead here
		ask = plain.WhoAmI
	}
	account, err := ask(ctx)
	switch {
	case err == nil:
		return Answer{Account: account, Asked: time.Now()}, c.keep(client, account)
	case errors.Is(err, hub.ErrUnauthorized):
		return Answer{}, errors.Join(err, c.Forget(client))
	case known && ctx.Err() == nil:
		last.Stale = true
		return last, nil
	}
	return Answer{}, err
}

// Peek is the last answer, without asking.
func (c Cache) Peek(client *hub.Client) (Answer, bool) {
	path := c.path(client)
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxAnswer {
		return Answer{}, false
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return Answer{}, false
	}
	var f answerFile
	if json.Unmarshal(data, &f) != nil || f.Account.Name == "" {
		return Answer{}, false // a file that is broken says nothing
	}
	age := time.Since(f.Asked)
	if age < 0 || age > answerKeep {
		return Answer{}, false
	}
	return Answer{Account: f.Account, Asked: f.Asked}, true
}

// Forget drops what is known of the client's token.
func (c Cache) Forget(client *hub.Client) error { return remove(c.path(client)) }

// Clear drops all that is known.
func (c Cache) Clear() error {
	if err := os.RemoveAll(c.Dir); err != nil {
		return fmt.Errorf("forget the accounts: %w", err)
	}
	return nil
}

func (c Cache) keep(client *hub.Client, account hub.Account) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of accounts: %w", err)
	}
	c.sweep()
	data, err := json.Marshal(answerFile{time.Now().UTC(), account})
	if err != nil {
		return fmt.Errorf("encode account: %w", err)
	}
	return writeSecret(c.path(client), string(data)+"\n")
}

// sweep removes the answers that nobody would take any more.
func (c Cache) sweep() {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > answerKeep {
			_ = os.Remove(filepath.Join(c.Dir, e.Name())) // the next one tries again
		}
	}
}

func (c Cache) path(client *hub.Client) string {
	sum := sha256.Sum256([]byte(client.BaseURL + "\x00" + client.Token))
	return filepath.Join(c.Dir, hex.EncodeToString(sum[:16])+".json")
}
