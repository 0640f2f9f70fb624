//go:build unix

package main

import "syscall"

// openFiles returns how many files the process may have open.
func openFiles() (uint64, bool) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0, false
	}
	return uint64(limit.Cur), true // it is signed on some systems
}
