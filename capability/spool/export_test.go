package spool

// Readmit has the jobs that were put aside tried again, as Run does every ten minutes.
func (s *Spool) Readmit() { s.readmit() }
