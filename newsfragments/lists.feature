Lists of jobs can be sorted, searched and paged (`lsjobs:order=-ended:text=sim:from=CURSOR`), told for a time in which
jobs ran (`overlap=`), and counted (`countjobs`); what they cost does not depend on the page.
