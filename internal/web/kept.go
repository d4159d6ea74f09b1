package web

// remember and forget: which sessions are open here, for the next start.
func (s *server) remember(string) {}

func (s *server) forget(string) {}
