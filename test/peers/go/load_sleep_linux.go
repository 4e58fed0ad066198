package main

import (
	"syscall"
	"time"
)

// preciseSleep blocks this thread: the runtime's own timers round up to milliseconds when nothing else runs.
func preciseSleep(wait time.Duration) {
	left := syscall.NsecToTimespec(wait.Nanoseconds())
	_ = syscall.Nanosleep(&left, nil)
}
