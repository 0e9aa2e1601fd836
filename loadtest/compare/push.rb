require "sidekiq"
Sidekiq.configure_client { |c| c.redis = { url: ENV.fetch("REDIS_URL"), size: 16 } }
n, how = Integer(ARGV[0]), ARGV[1]
one = ->(i) { Sidekiq::Client.push("class" => "Test::NoOp", "args" => [i]) }
start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
case how
when "one" then n.times(&one)
when "threads" then 16.times.map { |t| Thread.new { (n / 16).times(&one) } }.each(&:join)
when "bulk"
  text = "x" * 60
  (0...n).each_slice(1000) { |s|
    Sidekiq::Client.push_bulk("class" => "Test::NoOp", "args" => s.map { |i| [i, text] }) }
end
puts n / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
