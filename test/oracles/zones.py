"""Writes zones.json: when days, and shifts of eight hours, begin in some zones, by zoneinfo. python3 zones.py > zones.json"""
import datetime
import json
import platform
import sys
import zoneinfo

zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'America/Havana', 'America/Sao_Paulo', 'Africa/Cairo', 'Asia/Kolkata', 'Asia/Beirut', 'Australia/Lord_Howe', 'Pacific/Apia', 'Africa/Casablanca', 'America/St_Johns']
periods = [(2011, 362, 5), (2018, 305, 4), (2024, 85, 10), (2024, 298, 12), (2023, 60, 50)]


def begins(zone, hours):
    """The first instant, to the second, at which a local clock has reached each multiple of so many hours."""
    out = []
    for year, day, count in periods:
        first = datetime.datetime(year, 1, 1) + datetime.timedelta(days=day)
        for k in range(count * 24 // hours):
            local = first + datetime.timedelta(hours=k * hours)
            low = int(local.replace(tzinfo=datetime.timezone.utc).timestamp()) - 36 * 3600
            high = low + 72 * 3600
            while high - low > 1:
                middle = (low + high) // 2
                reached = datetime.datetime.fromtimestamp(middle, zone).replace(tzinfo=None) >= local
                low, high = (low, middle) if reached else (middle, high)
            out.append(high)
    return sorted(set(out))


json.dump({'made by': 'zones.py', 'python': platform.python_version(), 'hours': {
    hours: {name: begins(zoneinfo.ZoneInfo(name), hours) for name in zones} for hours in (24, 8)
}}, sys.stdout, separators=(',', ':'))
print()
