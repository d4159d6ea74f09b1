package web

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ml-intern/internal/app"
	"ml-intern/internal/session"
)

// Which sessions are open is written down, a file each, so that after a kill those
// that wait for jobs are taken up. Two servers of one folder of state have their
// files side by side: the session's lease says whose it is.

// remember writes down that a session is open.
func (s *server) remember(id string) {
	if err := app.Keep(s.keptFile(id), []byte("{}\n")); err != nil {
		s.Log(fmt.Sprintf("session %s will not be taken up after a restart: %v", id, err))
	}
}

// forget says that it is not any more.
func (s *server) forget(id string) {
	if err := os.RemoveAll(s.keptFile(id)); err != nil {
		s.Log(fmt.Sprintf("forget that session %s was open: %v", id, err))
	}
}

const keptExt = ".json"

func (s *server) keptFile(id string) string { return filepath.Join(s.kept, id+keptExt) }

// keptIDs are the sessions that were open.
func (s *server) keptIDs() (ids []string) {
	entries, err := os.ReadDir(s.kept)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.Log(fmt.Sprintf("read which sessions were open: %v", err))
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), keptExt); ok && sessionID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// takeUp opens the sessions again that were open and wait for jobs: they wait on. It
// tries those again each while that another process has, or that cannot be opened.
func (s *server) takeUp() {
	again := s.TryAgain
	if again == 0 {
		again = time.Minute
	}
	said := make(map[string]string) // by id, so that it is said once
	for {
		for _, id := range s.keptIDs() {
			if s.ctx.Err() != nil {
				return
			}
			err := s.takeUpOne(id)
			if err == nil {
				delete(said, id)
			} else if text := err.Error(); said[id] != text {
				said[id] = text
				s.Log(fmt.Sprintf("session %s waits for a job and cannot be taken up yet: %v; it is tried again", id, err))
			}
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

func (s *server) takeUpOne(id string) error {
	if s.isOpen(id) {
		return nil
	}
	log, err := s.sleeper(id)
	if err == nil && log == nil {
		return s.forgetClosed(id)
	}
	if err != nil {
		return err
	}
	r := s.enter(id)
	defer s.leave(r)
	r.life.Lock()
	defer r.life.Unlock()
	if r.isOpen() {
		return nil
	}
	if _, err := s.reopen(r); err != nil {
		return err
	}
	s.Log(fmt.Sprintf("session %s waits for a job again: %s", id, strings.Join(jobsOf(log), ", ")))
	return nil
}

// sleeper is the log of a session that waits for jobs, nil of any other: nobody need
// look at that, it is answered, or asks for somebody.
func (s *server) sleeper(id string) (*session.Session, error) {
	log, err := s.library.Log(s.ctx, id)
	if errors.Is(err, session.ErrNotFound) || err == nil && (log.ID != id || !log.Sleeps()) {
		return nil, nil //nolint:nilnil // as it says
	}
	return log, err
}

// forgetClosed is forget, unless the session is open: here, or in another server,
// which needs what it has written down for the time when it is killed.
func (s *server) forgetClosed(id string) error {
	r := s.enter(id)
	defer s.leave(r)
	r.life.Lock()
	defer r.life.Unlock()
	if r.isOpen() {
		return nil
	}
	err := s.library.Alone(s.ctx, id, func() error {
		log, err := s.sleeper(id) // now that nobody can change it
		if err == nil && log == nil {
			s.forget(id)
		}
		return err
	})
	if errors.Is(err, session.ErrBusy) {
		return nil
	}
	return err
}

// jobsOf are the jobs that a session waits for.
func jobsOf(s *session.Session) (all []string) {
	for _, w := range s.Waiting() {
		all = append(all, w.Jobs...)
	}
	return all
}
