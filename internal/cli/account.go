package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"ml-intern/internal/app"
	"ml-intern/internal/config"
)

// maxToken bounds what is read for a token, in bytes.
const maxToken = 8 << 10

// Login logs in to the Hub: with the token, with the one on standard input if
// it is "-", or with what a person does if it is "".
func Login(ctx context.Context, cfg *config.Config, token string, std Streams) error {
	if token != "" && token != "-" {
		fmt.Fprintln(std.Err, "a token on the command line can be seen by others and stays in the shell's history: --token - reads it from standard input")
	}
	var err error
	switch token {
	case "-":
		token, err = readToken(std.In)
	case "":
		token, err = askToken(ctx, std)
	}
	if err != nil {
		return err
	}
	var done app.Login
	if token != "" {
		done, err = app.LoginWithToken(ctx, cfg, token)
	} else {
		done, err = app.LoginByBrowser(ctx, cfg, func(c app.LoginCode) { showCode(std.Err, c) })
	}
	if err != nil {
		return err
	}
	return showLogin(cfg, done, std)
}

func readToken(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxToken+1))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > maxToken {
		return "", fmt.Errorf("%w: standard input holds no token", app.ErrUsage)
	}
	return token, nil
}

// askToken lets a person at a terminal paste a token. Where there is no
// terminal, or no wish to, it returns "".
func askToken(ctx context.Context, std Streams) (string, error) {
	in, isFile := std.In.(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return "", nil
	}
	fmt.Fprint(std.Err, "press Enter to log in with a browser, or paste an access token (it is not shown): ")
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	type typed struct {
		text []byte
		err  error
	}
	read := make(chan typed, 1)
	go func() { // a read of a terminal cannot be stopped: it ends with the process
		text, err := term.ReadPassword(int(in.Fd()))
		read <- typed{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(std.Err)
		return "", errors.Join(context.Cause(ctx), term.Restore(int(in.Fd()), before))
	case t := <-read:
		fmt.Fprintln(std.Err)
		if t.err != nil {
			return "", fmt.Errorf("read token: %w", t.err)
		}
		return strings.TrimSpace(string(t.text)), nil
	}
}

func showCode(w io.Writer, c app.LoginCode) {
	fmt.Fprintf(w, "open  %s\nenter %s\n", printable(c.URL), printable(c.Code))
	if c.OpenURL != c.URL {
		fmt.Fprintf(w, "or open %s\n", printable(c.OpenURL))
	}
	fmt.Fprintf(w, "waiting for you to allow it, at most %s; Ctrl-C stops\n", c.Life.Round(time.Minute))
}

func showLogin(cfg *config.Config, l app.Login, std Streams) error {
	if cfg.Output == "json" {
		return printJSON(std.Out, l.Account)
	}
	p := printerOf{w: std.Out}
	p.line("logged in to %s as %s", l.Hub, printable(l.Name))
	p.account(l.Account)
	notes(std.Err, l.Account)
	if l.Token.Renews {
		fmt.Fprintln(std.Err, "the token is renewed by itself before it ends")
	}
	if l.Overridden != "" {
		fmt.Fprintf(std.Err, "%s is set and is used instead of this login; unset it to use the login\n", l.Overridden)
	}
	return p.err
}

// account prints what an account and its token may do.
func (p *printerOf) account(a app.Account) {
	p.line("plan   %s", a.Plan)
	token := strings.Join(nonEmpty(printable(a.Token.Name), "role "+printable(a.Token.Role)), ", ")
	if !a.Token.Expires.IsZero() {
		token += ", until " + a.Token.Expires.Local().Format("2006-01-02 15:04")
	}
	p.line("token  %s (%s)", token, a.Token.Source)
	for _, o := range a.Orgs {
		p.line("org    %s", strings.Join(nonEmpty(printable(o.Name), printable(o.Role), printable(o.Plan)), ", "))
	}
}

func nonEmpty(in ...string) []string {
	var out []string
	for _, s := range in {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// notes tells what a person may not expect.
func notes(w io.Writer, a app.Account) {
	if !a.CanPublish {
		fmt.Fprintln(w, "this token only reads: it cannot publish")
	}
	if a.Stale {
		fmt.Fprintf(w, "the Hub could not be asked now; this is what it said %s ago\n", time.Since(a.Asked).Round(time.Minute))
	}
}

// Logout removes the stored token of that name, or all of them if it is "".
func Logout(ctx context.Context, cfg *config.Config, name string, std Streams) error {
	done, err := app.LogOut(ctx, cfg, name)
	if err != nil {
		return err
	}
	if done.Remaining != "" {
		fmt.Fprintf(std.Err, "%s is set and stays: unset it to be logged out\n", done.Remaining)
	}
	switch {
	case len(done.Names) > 0:
		_, err = fmt.Fprintln(std.Out, "logged out: "+printable(strings.Join(done.Names, ", ")))
	case done.Active:
		_, err = fmt.Fprintln(std.Out, "logged out")
	case done.Remaining == "":
		fmt.Fprintln(std.Err, "not logged in")
	}
	return err
}

// WhoAmI prints whose the token is that would be used.
func WhoAmI(ctx context.Context, cfg *config.Config, std Streams) error {
	a, err := app.WhoAmI(ctx, cfg)
	if err != nil {
		return err
	}
	if cfg.Output == "json" {
		return printJSON(std.Out, a)
	}
	p := printerOf{w: std.Out}
	p.line("%s at %s", printable(a.Name), a.Hub)
	p.account(a)
	notes(std.Err, a)
	return p.err
}
