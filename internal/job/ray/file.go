package ray

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ml-intern/internal/job"
)

// Ray hands out the files among the logs of a node, whole or their last lines.
// Up to Ray 2.45 it puts a byte before every block: 1, or 0 before an error.
const (
	blockSize = 64 << 10
	blockGood = '1'
)

// A nodeFile is an open file of a node's logs. Marked says that it came in the
// old way.
type nodeFile struct {
	*bufio.Reader
	io.Closer
	marked bool
}

// open opens a file that the shim has written, or its last so many lines; all
// of it if lines is negative. It begins with one of firsts, which no mark is.
func (b Backend) open(ctx context.Context, node, name string, lines int, firsts string) (*nodeFile, error) {
	f, err := b.request(ctx, node, name, lines)
	if err != nil {
		return nil, err
	}
	first, err := f.Peek(1)
	switch {
	case errors.Is(err, io.EOF):
		return f, nil
	case err != nil:
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), f.Close())
	case strings.Contains(firsts, string(first)):
		return f, nil
	}
	f.unmark()
	if _, err := f.Peek(1); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", name, err), f.Close())
	}
	return f, nil
}

// openAny opens a file that may begin with anything.
func (b Backend) openAny(ctx context.Context, node, name string, marked bool) (*nodeFile, error) {
	f, err := b.request(ctx, node, name, -1)
	if err == nil && marked {
		f.unmark()
	}
	return f, err
}

func (b Backend) request(ctx context.Context, node, name string, lines int) (*nodeFile, error) {
	query := url.Values{"node_id": {node}, "filename": {name}, "lines": {strconv.Itoa(lines)}, "timeout": {"86400"}}
	body, err := b.send(ctx, http.MethodGet, "/api/v0/logs/file?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return &nodeFile{Reader: bufio.NewReaderSize(body, blockSize), Closer: body}, nil
}

func (f *nodeFile) unmark() {
	f.Reader, f.marked = bufio.NewReader(&blocks{r: f.Reader}), true
}

// blocks takes the marks out of what it reads.
type blocks struct {
	r    *bufio.Reader
	left int
}

func (b *blocks) Read(p []byte) (int, error) {
	if b.left == 0 {
		mark, err := b.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if mark != blockGood {
			text, _ := io.ReadAll(io.LimitReader(b.r, 1<<20))
			return 0, &statusError{http.StatusInternalServerError, lastLine(string(text))}
		}
		b.left = blockSize
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// shimPath is where Ray finds a file of the shim.
func shimPath(rec job.Record, name string) string { return "ml-intern-" + refOf(rec) + "/" + name }

// shimFile reads a file of JSON that the shim has written, if there is one and
// its node is still there.
func (b Backend) shimFile(ctx context.Context, rec job.Record, name string, v any) (found, marked bool, err error) {
	node := rec.Kept[keptNode]
	if node == "" {
		return false, false, nil
	}
	err = repeat(ctx, func() error {
		f, err := b.open(ctx, node, shimPath(rec, name), -1, "{")
		if err != nil {
			return err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxAnswer))
		if err != nil {
			return err
		}
		found, marked = true, f.marked
		return json.Unmarshal(data, v)
	})
	if gone(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("read %s of job %s: %w", name, rec.ID, err)
	}
	return found, marked, nil
}

// gone reports whether Ray has answered, and has no such file or no such node.
func gone(err error) bool {
	var status *statusError
	if !errors.As(err, &status) || status.Code != http.StatusInternalServerError {
		return false
	}
	return strings.Contains(status.Text, "file is not found at") || strings.Contains(status.Text, "Agent for node id") ||
		strings.Contains(status.Text, "Given node id")
}
