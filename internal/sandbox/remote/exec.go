package remote

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"ml-intern/internal/sandbox"
)

// grace is how long after its time limit the end of a command may be told.
const grace = time.Minute

// Exec implements sandbox.Sandbox. A connection that breaks is made again, and
// output goes on where it was; the command runs once. With an ID that ran
// before it tells how that went, from its beginning.
func (c *Client) Exec(ctx context.Context, cmd sandbox.Command) (sandbox.Output, error) {
	id := commandID(cmd.ID)
	body, err := json.Marshal(order{cmd.Line, cmd.Timeout.Milliseconds()})
	if err != nil || len(body) > maxRequest {
		return sandbox.Output{}, fmt.Errorf("the command has %d bytes, more than the %d that a sandbox takes", len(cmd.Line), maxRequest)
	}
	captured := &sandbox.Capture{Log: cmd.Log, Raw: cmd.Raw}
	start := time.Now()
	end, err := c.run(ctx, id, body, cmd.Timeout, captured)
	out := sandbox.Output{Text: captured.String(), Seconds: time.Since(start).Seconds()}
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return out, errors.Join(cause, c.cancel(ctx, id))
	}
	if err != nil {
		return out, err
	}
	out.Code, out.TimedOut, out.Seconds, out.Kept = end.Code, end.TimedOut, end.Seconds, end.Kept
	switch {
	case end.Canceled:
		return out, errors.New("the command was canceled")
	case end.Error != "":
		return out, errors.New(sandbox.Printable([]byte(end.Error[:min(len(end.Error), maxWords)])))
	}
	return out, nil
}

// commandID is the name of a run in characters that every server takes.
func commandID(id string) string {
	if id == "" {
		return rand.Text()
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:16])
}

// run starts a command and follows it to its end, over as many connections as
// that takes.
func (c *Client) run(ctx context.Context, id string, body []byte, limit time.Duration, out *sandbox.Capture) (exit, error) {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit+grace, errNeverEnds)
		defer cancel()
	}
	if err := c.call(ctx, "PUT", "/v1/commands/"+id, body, &struct{}{}, maxAnswer); err != nil {
		return exit{}, err
	}
	f := &following{client: c, id: id, out: out}
	heard := time.Now()
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, 5*time.Second) {
		before, begun := f.from, time.Now()
		end, err := f.follow(ctx)
		switch {
		case end != nil:
			return *end, nil
		case ctx.Err() != nil:
			return exit{}, context.Cause(ctx)
		case !errors.Is(err, ErrAway):
			return exit{}, err
		}
		if f.from > before || f.alive && time.Since(begun) > pulse {
			heard, wait = time.Now(), 100*time.Millisecond
		}
		if time.Since(heard) > c.opts.Patience {
			return exit{}, fmt.Errorf("%w; the command may go on there until its time limit", err)
		}
		if err := pause(ctx, wait); err != nil {
			return exit{}, err
		}
	}
}

var errNeverEnds = errors.New("the sandbox never told the end of the command, though its time limit has passed")

// cancel stops a command for a caller who has no more time.
func (c *Client) cancel(ctx context.Context, id string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 900*time.Millisecond)
	defer stop()
	if err := c.once(ctx, "DELETE", "/v1/commands/"+id, nil, &struct{}{}, maxAnswer); err != nil {
		return fmt.Errorf("the command may go on in the sandbox until its time limit: %w", err)
	}
	return nil
}

// mostOutput is more than any command prints, in bytes.
const mostOutput = 1 << 60

// following is how far a command's output was read.
type following struct {
	client *Client
	id     string
	out    *sandbox.Capture
	from   int64
	alive  bool // the latest connection brought something
}

// follow reads one connection's worth. Without an end the error says why, and
// is ErrAway if it is worth another connection.
func (f *following) follow(ctx context.Context) (*exit, error) {
	f.alive = false
	target := "/v1/commands/" + url.PathEscape(f.id) + "/output?from=" + strconv.FormatInt(f.from, 10)
	reply, stop, err := f.client.send(ctx, "GET", target, nil)
	if err != nil {
		return nil, err
	}
	defer stop()
	lines := bufio.NewReaderSize(reply, maxEvent)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("the sandbox sends lines of more than %d bytes: it is not one of ours", maxEvent)
		case err != nil:
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, away(err)
		}
		var ev event
		if err := json.Unmarshal(line, &ev); err != nil {
			return nil, fmt.Errorf("the sandbox sends something else than its protocol: %w", err)
		}
		f.alive = true
		if end, err := f.take(ev); end != nil || err != nil {
			return end, err
		}
	}
}

// take puts a piece of output where it belongs.
func (f *following) take(ev event) (*exit, error) {
	switch {
	case ev.From < f.from || ev.From > mostOutput:
		return nil, errors.New("the sandbox sends output from nowhere: it is not one of ours")
	case len(ev.Data) > 0:
		if missed := ev.From - f.from; missed > 0 {
			_, _ = fmt.Fprintf(f.out, "\n[… %d bytes came too fast, and are lost …]\n", missed) // a Capture takes all
		}
		_, _ = f.out.Write(ev.Data)
		f.from = ev.From + int64(len(ev.Data))
	}
	return ev.Exit, nil
}
