package hub

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// An upload is a file with all that must be known of it.
type upload struct {
	File
	size    int64
	sha1    string // git's id of a blob with the content; "" if it is too large for git, or not needed
	sha256  string // "" if not needed
	sample  []byte // the first bytes, until the Hub has seen them
	asked   bool   // the Hub has been asked
	large   bool   // as the Hub wants it
	ignored bool
	remote  string       // id of what the Hub has there
	sent    atomic.Int64 // bytes of a large file
}

// same reports whether the Hub has this very content there.
func (u *upload) same() bool {
	return u.remote != "" && (u.remote == u.sha1 || u.remote == u.sha256)
}

const (
	sampleSize = 512
	maxInGit   = 10 << 20 // what is larger, every Hub wants as a large file
)

// weigh finds out the size.
func (u *upload) weigh() error {
	if u.Local == "" {
		u.size = int64(len(u.Content))
		return nil
	}
	body, size, err := u.open()
	if err != nil {
		return err
	}
	u.size = size
	return body.Close()
}

// hashedAhead is from which size on files are read for their hashes before the
// Hub is asked about them, beside the sending of others. For smaller ones it
// is quicker to wait for the answer: most need no hash at all.
const hashedAhead = 1 << 20

// look reads what the Hub is asked with: the sample and, of what is not small,
// the hashes.
func (u *upload) look(ctx context.Context, notes notes) error {
	body, size, err := u.open()
	if err != nil {
		return err
	}
	defer body.Close()
	u.size = size
	sample := make([]byte, min(size, sampleSize))
	if _, err := body.ReadAt(sample, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", u.Path, err)
	}
	u.sample = sample
	if size < hashedAhead {
		return nil
	}
	return u.digest(ctx, body, notes)
}

// settle makes sure that there are the hashes which the Hub's answer asks for:
// to compare with what it has, and to send a large file.
func (u *upload) settle(ctx context.Context, notes notes) error {
	if u.sha256 != "" || u.ignored || u.remote == "" && !u.large {
		return nil
	}
	body, err := u.reopen()
	if err != nil {
		return err
	}
	defer body.Close()
	return u.digest(ctx, body, notes)
}

// digest reads the content for its hashes, or takes the hash of a large file
// from the notes.
func (u *upload) digest(ctx context.Context, body seekCloser, notes notes) error {
	var changed time.Time
	if file, ok := body.(*os.File); ok && u.size > maxInGit {
		info, err := file.Stat()
		if err != nil {
			return fmt.Errorf("read %s: %w", u.Path, err)
		}
		changed = info.ModTime()
		if u.sha256 = notes.sum(u.Local, u.size, changed); u.sha256 != "" {
			return nil
		}
	}
	if err := u.hash(ctx, body); err != nil {
		return fmt.Errorf("read %s: %w", u.Path, err)
	}
	if !changed.IsZero() {
		notes.keepSum(u.Local, u.size, changed, u.sha256)
	}
	return nil
}

func (u *upload) hash(ctx context.Context, body io.Reader) error {
	sum := sha256.New()
	var git hash.Hash
	if u.size <= maxInGit {
		git = sha1.New()
		fmt.Fprintf(git, "blob %d\x00", u.size)
	}
	n := int64(0)
	err := pump(&obedient{ctx, body}, sum, u.size, func(p []byte) error {
		n += int64(len(p))
		if git != nil {
			git.Write(p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n != u.size {
		return errors.New("it changes while it is read")
	}
	u.sha256 = hex.EncodeToString(sum.Sum(nil))
	if git != nil {
		u.sha1 = hex.EncodeToString(git.Sum(nil))
	}
	return nil
}

// obedient stops reading when ctx ends.
type obedient struct {
	ctx context.Context
	r   io.Reader
}

func (o *obedient) Read(p []byte) (int, error) {
	if o.ctx.Err() != nil {
		return 0, context.Cause(o.ctx)
	}
	return o.r.Read(p)
}

// reopen opens content that was digested before.
func (u *upload) reopen() (seekCloser, error) {
	body, size, err := u.open()
	if err != nil {
		return nil, err
	}
	if size != u.size {
		return nil, errors.Join(fmt.Errorf("%s changed while it was uploaded", cmp.Or(u.Local, u.Path)), body.Close())
	}
	return body, nil
}
