// Command ml-intern is an agent that does machine-learning engineering: it
// reads, writes and tests training code, runs it as jobs, compares the results
// and publishes the model.
//
// This package is flags and exit codes and nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"ml-intern/internal/app"
	"ml-intern/internal/cli"
)

func main() { os.Exit(run()) }

// run returns the exit code of the process.
func run() int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var keys interrupts
	if len(os.Args) < 2 || os.Args[1] != app.ShimCommand && os.Args[1] != app.ConfinedCommand { // which mind signals themselves
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		go func() { // for the life of the process
			keys.await(signals)
			cancel(app.ErrInterrupted)
			<-signals // the person means it
			os.Exit(130)
		}()
	}
	root := newRoot(cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Interrupts: keys.take})
	command, err := root.ExecuteContextC(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(err, context.Canceled) && cause != nil {
		err = cause
	}
	return report(err, command.Flags().Lookup("continue") != nil)
}

// interrupts are the presses of Ctrl-C, which a chat takes for itself.
type interrupts struct {
	mu     sync.Mutex
	handle func()
}

// take has the function called from now on, until restore is called.
func (i *interrupts) take(handle func()) (restore func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle = handle
	return func() { i.take(nil) }
}

// await returns when there is a signal that nobody has taken.
func (i *interrupts) await(signals <-chan os.Signal) {
	for s := range signals {
		i.mu.Lock()
		handle := i.handle
		i.mu.Unlock()
		if s != os.Interrupt || handle == nil {
			return
		}
		handle()
	}
}

// report tells the person what went wrong and what to do about it. Only what
// has a session can be gone on with after an interruption.
func report(err error, session bool) int {
	exit := app.Classify(err)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "ml-intern: %v\n", err)
	if exit.Hint != "" && (session || exit.Code != 130) {
		fmt.Fprintln(os.Stderr, "ml-intern: "+exit.Hint)
	}
	return exit.Code
}
