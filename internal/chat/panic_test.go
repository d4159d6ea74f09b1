package chat

import (
	"strings"
	"testing"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
	"ml-intern/internal/session"
)

// beside is a chat whose program is broken, as far as commands beside turns need
// one, and what it tells.
func beside(t *testing.T) *Chat {
	c := &Chat{
		cfg: &config.Config{}, ctx: t.Context(), app: &app.App{}, updates: make(chan Update), out: make(chan parcel, 10), dirty: make(chan struct{}, 1),
		kick: make(chan struct{}, 1), started: make(chan struct{}), closed: make(chan struct{}),
	}
	close(c.started)
	return c
}

// A panic in what the person's own command does is told as its failure, and the
// chat counts it as over.
func TestAPanicOfAShellCommand(t *testing.T) {
	t.Parallel()
	c := beside(t) // its app has no sandbox
	c.shell("ls")
	c.work.Wait()
	close(c.out)
	var last *Ran
	for p := range c.out {
		last = p.Ran
	}
	if last == nil || !last.Done || !strings.Contains(last.Err, "the program failed in this") || c.Busy() {
		t.Errorf("told %+v, busy %v", last, c.Busy())
	}
}

// A panic of a login is told: by the command, or when there was a code already by
// a notice.
func TestAPanicOfALogin(t *testing.T) {
	t.Parallel()
	c := beside(t)
	if _, err := c.logIn(func(func(app.LoginCode)) (app.Login, error) { panic("nobody thought of it") }); err == nil || !strings.Contains(err.Error(), "nobody thought of it") {
		t.Errorf("error %v", err)
	}
	r, err := c.logIn(func(show func(app.LoginCode)) (app.Login, error) {
		show(app.LoginCode{Code: "ABCD"})
		panic("nobody thought of it")
	})
	c.work.Wait()
	if err != nil || !strings.Contains(r.Text, "ABCD") {
		// the panic may come before the code is taken: then the command says it
		if err == nil || !strings.Contains(err.Error(), "nobody thought of it") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	select {
	case p := <-c.out:
		if !strings.Contains(p.Notice, "nobody thought of it") {
			t.Errorf("told %+v", p)
		}
	default:
		t.Error("nothing is told")
	}
}

// A stop before the prompt is even taken holds it back.
func TestStopBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	c := &Chat{dirty: make(chan struct{}, 1), kick: make(chan struct{}, 1)}
	c.Stop() // with nothing to stop it is not kept
	c.Give(session.Prompt{Text: "first"})
	c.Stop()
	if _, ok := c.next(); ok || !c.state.Held || c.stopped {
		t.Errorf("it is said: held %v", c.state.Held)
	}
	c.release()
	if p, ok := c.next(); !ok || p.Text != "first" {
		t.Errorf("it is lost: %+v", p)
	}
}

func TestAPanicEndsTheTurnOnly(t *testing.T) {
	t.Parallel()
	err := whole(func() error { panic("nobody thought of it") })
	if err == nil || !strings.Contains(err.Error(), "nobody thought of it") || !strings.Contains(err.Error(), "panic_test.go") {
		t.Errorf("error %v", err)
	}
}
