//go:build unix

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ml-intern/internal/confine"
	"ml-intern/internal/job"
)

// A shim runs one job.
type shim struct {
	folder  folder
	record  record
	log     *logWriter
	output  *redactor      // to the log
	signals chan os.Signal // to this process, to end the job
	nudges  chan os.Signal // its turn may have come
	given   handover
	granted grant
	began   time.Time // when the job's program was started
	asleep  bool      // this process was asked to end: it starts nothing more

	network network // the job's way out

	ownPythons  bool   // uv installs Pythons among our state
	environment string // folder of what the job requires, "" if it requires nothing
}

// RunShim is the whole life of a shim: it runs the job in a folder, or buries
// it, or leaves it to the shim that has it. It needs a process of its own,
// which ends with it; its standard output is for the one who started it.
func RunShim(ctx context.Context, dir string) error {
	s := &shim{folder: folder(dir), signals: make(chan os.Signal, 1), nudges: make(chan os.Signal, 1)}
	// Caught before the lock is taken, for then others know where to send them.
	signal.Notify(s.signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(s.signals)
	signal.Notify(s.nudges, syscall.SIGUSR1)
	defer signal.Stop(s.nudges)
	// To be ignored here but not in the job, which would inherit that.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored, syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(ignored)

	if ok, err := s.folder.read(specFile, &s.record); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("run job in %s: %w", dir, job.ErrNotFound)
	}
	lock, ok, err := takeLock(s.folder.path(lockFile))
	if err != nil {
		return err
	}
	if !ok || s.folder.has(doneFile) {
		sayReady()
		return nil
	}
	defer lock.Close()
	room, err := s.folder.reserve()
	if err != nil {
		return err
	}
	var st start
	if started, err := s.folder.read(startedFile, &st); started || err != nil {
		if err := room.finish(s.bury(st, err)); err != nil {
			return err
		}
		sayReady()
		return s.backend().advance(ctx)
	}
	// From one who was killed it may have nothing: then a job with secrets waits
	// for a shim that has them.
	if s.given, err = receive(os.Stdin); err != nil && len(s.record.Spec.Secrets) > 0 {
		return err
	}
	sayReady()
	return s.live(ctx, room)
}

// live runs the job and lets the next one go.
func (s *shim) live(ctx context.Context, room *reserve) error {
	s.log = &logWriter{log: s.folder.log()}
	s.log.at, _ = s.log.log.end() // a shim before this one may have written some
	s.output = newRedactor(s.log, s.given.Secrets)
	e, over := s.run(ctx)
	if !over {
		return nil
	}
	e.At = time.Now().UTC()
	if !s.began.IsZero() { // so long it ran, whatever became of the clock
		e.At = s.began.Add(time.Since(s.began)).UTC()
	}
	if err := errors.Join(s.log.close(), room.finish(e)); err != nil || s.asleep {
		return err
	}
	return s.backend().advance(ctx)
}

// backend is the one that the job is of, as far as the queue needs it. It has no
// secrets to give.
func (s *shim) backend() Backend {
	return Backend{
		Dir: filepath.Dir(filepath.Dir(string(s.folder))), Shim: s.record.Shim, self: s.record.ID,
		Secret: func(string) (string, bool) { return "", false }, HubToken: func() (hub, token string) { return s.given.Hub, s.given.HubToken },
	}
}

// sayReady tells the one who started this shim, who may be gone by now.
func sayReady() {
	_, _ = os.Stdout.WriteString(ready)
}

// bury ends what is left of a job whose shim was killed.
func (s *shim) bury(first start, unreadable error) end {
	e := end{State: job.Lost, ExitCode: -1}
	if unreadable != nil {
		e.Reason = "the job started, and the record of its process cannot be read: " + unreadable.Error()
		return e
	}
	e.Reason = "the process that supervised the job was killed, so nobody knows how the job ended"
	found, err := orphans(s.record.ID, first).kill(0)
	switch {
	case err != nil:
		e.Reason += "; its process group " + strconv.Itoa(first.PID) + " may still run: " + err.Error()
	case found > 0:
		e.Reason += fmt.Sprintf("; %d of its processes still ran and were killed", found)
	}
	return e
}

// run takes the job through the queue to its end. It is not over if the shim
// has to go while the job is queued: another shim will take it.
func (s *shim) run(ctx context.Context) (e end, over bool) {
	if missing := s.given.Missing; missing != "" && len(s.record.Spec.Secrets) > 0 {
		return failed(errors.New("the process that first had its secrets is gone: " + missing)), true
	}
	granted := s.queue(ctx)
	switch {
	case s.canceled():
		return end{State: job.Canceled, ExitCode: -1, Reason: "canceled before it started"}, true
	case !granted:
		return end{}, false
	}
	// Before anything of the job has run, so another shim may do it again.
	if err := adoptOrphans(); err != nil {
		return failed(fmt.Errorf("adopt orphans: %w", err)), true
	}
	err := s.choose(ctx)
	if err == nil {
		err = s.equip(ctx)
	}
	_ = s.output.flush()
	switch {
	case err == nil:
		return s.execute(ctx), true
	case s.canceled():
		return end{State: job.Canceled, ExitCode: -1, Reason: "canceled before it started"}, true
	case s.asleep:
		return end{}, false
	}
	return failed(err), true
}

// execute runs the job's program.
func (s *shim) execute(ctx context.Context) end {
	if err := makeOutputDir(s.record); err != nil {
		return failed(err)
	}
	output, w, err := os.Pipe()
	if err != nil {
		return failed(fmt.Errorf("open pipe: %w", err))
	}
	defer output.Close()
	restore, err := s.shield()
	if err != nil {
		w.Close()
		return failed(err)
	}
	way, err := s.way(s.record.Rules)
	if err != nil {
		w.Close()
		return failed(err)
	}
	defer way.Close()
	s.serve(ctx, way)
	child, release, err := s.stage(w, way)
	w.Close()
	if err != nil {
		return failed(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(s.output, output) // ends by the end of all writers or by the deadline
	}()
	e := s.supervise(ctx, child, release)
	_ = output.SetReadDeadline(time.Now().Add(drainTime))
	<-drained
	_ = confine.Leftover(s.output, output)
	for _, note := range restore() {
		fmt.Fprintf(s.output, "[%s]\n", note)
	}
	_ = s.output.flush() // the log never fails
	return s.explain(e)
}

// choose finds out how what is confined is held on this machine.
func (s *shim) choose(ctx context.Context) (err error) {
	if s.record.Rules == nil {
		return nil
	}
	if s.record.Rules.Bare, err = confine.Bare(ctx, s.record.Cell...); err != nil {
		return fmt.Errorf("confine job: %w", err)
	}
	return nil
}

// shield returns what puts back what a confined job may not change.
func (s *shim) shield() (restore func() []string, err error) {
	if s.record.Rules == nil {
		return func() []string { return nil }, nil
	}
	return confine.Watch(s.record.Rules)
}

// drainTime is how long output may still come when all known processes of the
// job have ended.
const drainTime = 200 * time.Millisecond

func failed(err error) end {
	return end{State: job.Failed, ExitCode: -1, Reason: "the job could not start: " + err.Error()}
}

// queue waits for the job's turn, or until it is canceled or this process is
// asked to end.
func (s *shim) queue(ctx context.Context) (granted bool) {
	tick := time.NewTicker(wishPoll)
	defer tick.Stop()
	for !s.canceled() {
		g, err := s.backend().grantOf(s.record.ID)
		if err == nil {
			s.granted = g
			return true
		}
		select {
		case <-s.nudges:
		case <-s.signals:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
			_ = s.backend().putBack(s.record) // nobody else does while we live
			_ = s.backend().look(ctx)         // the next look may succeed
		}
	}
	return false
}

// wishPoll is how often a shim looks whether it shall cancel, in case the
// signal could not be sent.
const wishPoll = time.Second

func (s *shim) canceled() bool { return s.folder.has(cancelFile) }

// makeOutputDir makes the folder for results, inside the workspace whatever
// links are in it.
func makeOutputDir(rec record) error {
	root, err := os.OpenRoot(rec.Spec.Dir)
	if err != nil {
		return fmt.Errorf("open the job's folder: %w", err)
	}
	defer root.Close()
	rel, err := filepath.Rel(rec.Spec.Dir, rec.OutputDir)
	if err == nil {
		err = root.MkdirAll(rel, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make output folder: %w", err)
	}
	return nil
}

// stageScript waits for a word from the shim and becomes the job's program. If
// the shim dies first, the program never runs.
const stageScript = `read -r go <&3 && exec 3<&- && exec "$@"`

// stage starts the process that will become the job's program and records it.
// Nothing of the job runs before release.
func (s *shim) stage(output *os.File, way *confine.Way) (child *exec.Cmd, release func() error, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("open pipe: %w", err)
	}
	defer r.Close()
	argv, err := s.argv()
	if err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	child = exec.Command("/bin/sh", append([]string{"-c", stageScript, "sh"}, argv...)...)
	child.Dir, child.Env = s.record.Spec.Dir, s.environ()
	if s.record.Rules != nil { // the shell on the way is not behind walls
		child.Env = append(confine.Wrapped(child.Env), s.mark())
	}
	child.Stdout, child.Stderr, child.ExtraFiles = output, output, withWay(r, way)
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if s.record.Rules != nil {
		s.record.Rules.Enter(child.SysProcAttr)
	}
	if err := child.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start program: %w", err), w.Close())
	}
	pid := child.Process.Pid
	if err := pin(pid, s.granted.CPUs); err != nil { // as where the system forbids it
		fmt.Fprintf(s.output, "[the job is not bound to its CPUs: %v]\n", err)
	}
	mark, err := identify(pid)
	if err == nil {
		s.began = time.Now()
		err = s.folder.write(startedFile, start{PID: pid, Mark: mark, At: s.began.UTC()})
	}
	if err != nil {
		err = errors.Join(err, w.Close())
		_ = child.Wait() // without the word it ends in failure
		return nil, nil, err
	}
	return child, func() error {
		_, err := w.WriteString("go\n")
		return errors.Join(err, w.Close())
	}, nil
}

// rulesFile holds the rules of a job that is confined.
const rulesFile = "rules.json"

// argv is what the job's first process becomes: the program, or this one, which
// confines itself first. What the job is made of lies among our state.
func (s *shim) argv() ([]string, error) {
	if s.record.Rules == nil {
		return s.record.Argv, nil
	}
	rules := *s.record.Rules
	rules.Readable = append(slices.Clone(rules.Readable), s.folder.path(scriptDir))
	if s.environment != "" {
		rules.Readable = append(rules.Readable, s.environment, filepath.Join(s.backend().Dir, pythonsDir))
	}
	return s.confined(rulesFile, rules, s.record.Argv)
}

// confined is what becomes argv behind the walls of the rules, which the file of
// the job's folder is to hold.
func (s *shim) confined(file string, rules confine.Rules, argv []string) ([]string, error) {
	if err := s.folder.write(file, rules); err != nil {
		return nil, fmt.Errorf("write the job's rules: %w", err)
	}
	return slices.Concat(s.record.Cell, []string{s.folder.path(file)}, argv), nil
}

// mark is the variable by which the processes of a job are known.
func (s *shim) mark() string { return "JOB_ID=" + s.record.ID }

// environ is the job's environment. Its own settings are stronger than this
// machine's, and the names that the backend promises are stronger than both.
func (s *shim) environ() []string {
	cpus := strconv.Itoa(len(s.granted.CPUs))
	env := []string{
		"PYTHONUNBUFFERED=1",
		"OMP_NUM_THREADS=" + cpus, "OPENBLAS_NUM_THREADS=" + cpus, "MKL_NUM_THREADS=" + cpus,
	}
	env = append(env, s.record.jobEnv()...)
	if dir := s.record.ImportDir; dir != "" {
		path := dir
		if old, _ := variable(env, "PYTHONPATH"); old != "" {
			path += string(os.PathListSeparator) + old
		}
		env = append(env, "PYTHONPATH="+path)
	}
	env = append(env, s.gpuEnv()...)
	for name, value := range s.record.Spec.Env {
		env = append(env, name+"="+value)
	}
	for name, value := range s.given.Secrets {
		env = append(env, name+"="+value)
	}
	if dir := s.environment; dir != "" {
		path, _ := variable(env, "PATH")
		env = append(env, "VIRTUAL_ENV="+dir, "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+path)
	}
	if place := s.record.Spec.Checkpoint; place != "" {
		if !strings.Contains(place, "://") {
			place = filepath.Join(s.record.OutputDir, place)
		}
		env = append(env, "CHECKPOINT="+place)
	}
	return append(env, "JOB_ATTEMPT=0", "OUTPUT_DIR="+s.record.OutputDir, s.mark()) // the last of a name counts
}

// gpuEnv shows the job its own GPUs and no others, by the driver's numbers.
func (s *shim) gpuEnv() []string {
	if !s.record.HasGPUs {
		return nil
	}
	var numbers []string
	for _, gpu := range s.granted.GPUs {
		numbers = append(numbers, strconv.Itoa(gpu))
	}
	return []string{"CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=" + strings.Join(numbers, ",")}
}

// explain adds to a failure what the job itself said last.
func (s *shim) explain(e end) end {
	if e.State != job.Failed || e.ExitCode < 0 {
		return e
	}
	e.Reason += s.network.refused()
	var last string
	for line, err := range s.folder.log().lines(-lastBytes) {
		if err != nil {
			break
		}
		last = cmp.Or(line.Text, last)
	}
	if last != "" {
		e.Reason += fmt.Sprintf("; its last output is %q", clip(last, 200))
	}
	return e
}

const lastBytes = 4 << 10

// exitStatus is the exit status as a shell would say it.
func exitStatus(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}
